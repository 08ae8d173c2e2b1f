import { z } from 'zod';
import { appliedTokens, applyAll } from '../../cli/ranges-apply-all.ts';
import { RangesRecord } from '../../cli/ranges-record.ts';
import { load } from '../../config/load.ts';
import type { RangesConfig } from '../../config/ranges-config.ts';
import { createLogger } from '../../log.ts';
import { Ranges } from '../../ranges/ranges.ts';
import { RangesError } from '../../ranges/ranges-error.ts';
import type { Announcement } from '../../ranges/sns/announcement.ts';
import { SnsReceiver } from '../../ranges/sns/receiver.ts';

/** What SNS calls a function with. Its messages are those of the endpoint, but for the name of one field. */
const snsEvent = z.object({
  Records: z.array(
    z.object({
      EventSource: z.literal('aws:sns'),
      Sns: z
        .looseObject({ SigningCertUrl: z.string() })
        .transform(({ SigningCertUrl, ...rest }) => ({ ...rest, SigningCertURL: SigningCertUrl })),
    }),
  ),
});

export interface RangesResult {
  /** False: every message was refused, or is of what was applied before. */
  readonly applied: boolean;
  readonly targets: readonly string[];
}

const TIME_LIMIT_MS = 14 * 60_000;

/** One for all calls: a function's instance serves many. */
const log = createLogger(process.stderr);

/**
 * Applies the `ranges` of a configuration: for messages of SNS, once for all that come together; for any other event, such as
 * a schedule's, in any case. The configuration is `SEKISHO_CONFIG`, or `sekisho.yaml` beside the function.
 *
 * @throws RangesError what the first target that failed says, so that Lambda tries again
 */
export async function handler(event: unknown): Promise<RangesResult> {
  const loaded = load(process.env.SEKISHO_CONFIG ?? 'sekisho.yaml', { env: process.env });
  const { ranges: config } = loaded.config;
  const signal = AbortSignal.timeout(TIME_LIMIT_MS);
  const ranges = new Ranges(loaded.config, { signal });
  const record = new RangesRecord(loaded, log);
  try {
    const messages = snsEvent.safeParse(event).data?.Records.map(({ Sns }) => Sns);
    const announced = messages && (await newest(messages, config, ranges));
    if (messages !== undefined && announced === undefined) return { applied: false, targets: [] };
    using _lock = ranges.lock();
    if (announced !== undefined && (await isApplied(ranges, announced))) {
      log.info({ token: String(announced.token) }, 'the announced list is applied already');
      return { applied: false, targets: [] };
    }
    const done = await applyAll(ranges, config.targets, record, () => undefined, announced);
    for (const { result } of done) if ('error' in result) throw result.error;
    const problem = done.flatMap(({ problems }) => problems)[0];
    if (problem !== undefined) throw problem;
    await ranges.applied.put(appliedTokens(done));
    return { applied: true, targets: done.map(({ target }) => target.name) };
  } finally {
    await record.close();
    await ranges.close();
  }
}

/** A backlog comes message by message: what one of them led to is not done again for the next. */
async function isApplied(ranges: Ranges, { url, token }: Announcement): Promise<boolean> {
  return token <= ((await ranges.applied.get(url)) ?? -1n);
}

/** The newest of what is announced; what is not to be believed is logged, and nothing more. */
async function newest(
  messages: readonly object[],
  { sns }: RangesConfig,
  ranges: Ranges,
): Promise<Announcement | undefined> {
  if (sns === undefined) {
    log.error({}, 'messages of SNS come, and the configuration has no ranges.sns');
    return undefined;
  }
  const announced: Announcement[] = [];
  const receiver = new SnsReceiver({
    topic: sns.topic,
    fetch: (url) => ranges.fetchText(url),
    now: Date.now,
    announced: (one) => announced.push(one),
  });
  for (const message of messages) {
    try {
      await receiver.receive(JSON.stringify(message));
    } catch (error) {
      if (!(error instanceof RangesError) || error.code !== 'ranges-refused') throw error;
      log.warn({ code: error.code }, `a message is refused: ${error.message}`);
    }
  }
  return announced.sort((a, b) => (a.token < b.token ? 1 : -1))[0];
}
