import { z } from 'zod';
import { jsonOf } from '../../core/json.ts';
import { RangesError } from '../ranges-error.ts';

const common = {
  MessageId: z.string(),
  TopicArn: z.string(),
  Message: z.string(),
  Timestamp: z.string(),
  SignatureVersion: z.enum(['1', '2']),
  Signature: z.string(),
  SigningCertURL: z.string(),
};

const notification = z.object({
  ...common,
  Type: z.literal('Notification'),
  Subject: z.string().nullish(),
});
const confirmation = z.object({
  ...common,
  Type: z.enum(['SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  SubscribeURL: z.string(),
  Token: z.string(),
});

/** What SNS sends to an endpoint (https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html). */
export type SnsMessage = z.output<typeof notification> | z.output<typeof confirmation>;

const shape = z.discriminatedUnion('Type', [notification, confirmation]);

/** @throws RangesError `ranges-refused` */
export function parseSnsMessage(text: string): SnsMessage {
  const parsed = shape.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new RangesError('ranges-refused', 'this is no message of SNS');
}
