import { quote } from '../../core/diagnostic.ts';
import { RangesError } from '../ranges-error.ts';
import { type Announcement, parseAnnouncement } from './announcement.ts';
import { parseSnsMessage, type SnsMessage } from './message.ts';
import { certificateUrl, snsUrl, verifySnsMessage } from './verify.ts';

export interface SnsReceiverOptions {
  /** The one topic that is listened to. */
  readonly topic: string;
  /** The text at an address of SNS. @throws RangesError `ranges-unavailable` */
  readonly fetch: (url: string) => Promise<string>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly announced: (announcement: Announcement) => void;
}

/** SNS signs with one certificate at a time. */
const CERTIFICATES = 4;

/** Takes messages of one topic: verified, and only then acted upon. */
export class SnsReceiver {
  readonly #options: SnsReceiverOptions;
  readonly #certificates = new Map<string, string>();

  constructor(options: SnsReceiverOptions) {
    this.#options = options;
  }

  /**
   * @returns what became of it
   * @throws RangesError `ranges-refused` for what is not to be believed, `ranges-unavailable` for what may be sent again
   */
  async receive(text: string): Promise<'announced' | 'confirmed' | 'ignored'> {
    const message = parseSnsMessage(text);
    const { topic, now, announced, fetch } = this.#options;
    // Before anything is fetched that a stranger named.
    if (message.TopicArn !== topic) {
      throw new RangesError(
        'ranges-refused',
        `a message of another topic: ${quote(message.TopicArn)}`,
      );
    }
    const url = certificateUrl(message);
    const certificate = this.#certificates.get(url) ?? (await fetch(url));
    verifySnsMessage(message, certificate, now());
    this.#keep(url, certificate);
    if (message.Type === 'Notification') {
      announced(parseAnnouncement(message.Message));
      return 'announced';
    }
    // Whoever unsubscribes this endpoint gets a message with which it could be undone; it is not.
    if (message.Type === 'UnsubscribeConfirmation') return 'ignored';
    await this.#confirm(message);
    return 'confirmed';
  }

  async #confirm({ SubscribeURL }: Exclude<SnsMessage, { Type: 'Notification' }>): Promise<void> {
    const url = snsUrl(SubscribeURL);
    if (url === undefined) {
      throw new RangesError('ranges-refused', 'the subscription is not confirmed at SNS');
    }
    await this.#options.fetch(url.href);
  }

  #keep(url: string, certificate: string): void {
    this.#certificates.delete(url);
    this.#certificates.set(url, certificate);
    const [oldest] = this.#certificates.keys();
    if (this.#certificates.size > CERTIFICATES && oldest !== undefined) {
      this.#certificates.delete(oldest);
    }
  }
}
