import type { OutcomeEvent } from '../../src/audit/event.ts';

/** A tunnel that a rule allowed and that went well, as the record has it; tests vary it. */
export const TUNNEL_OUTCOME: OutcomeEvent = {
  type: 'outcome',
  id: '019ab0c4-2f1e-7c3a-9d52-1b7f0a3c5e88',
  time: '2026-11-23T05:10:00.123Z',
  gateway: 'tokyo-1',
  listener: 'egress',
  client: '10.0.0.5:41234',
  principal: 'athena-connector',
  identifiedBy: 'header',
  action: 'CONNECT',
  destination: 'api.github.com:443',
  address: '140.82.121.6',
  class: { client: 'internal', way: 'external', destination: 'external', external: true },
  decision: {
    stage: 'address',
    effect: 'allow',
    reason: 'rule-allow',
    rule: 'athena-saas',
    mode: 'enforce',
  },
  policy: 'sha256:5e15',
  exit: null,
  tls: null,
  outcome: { status: 200, error: null, bytesUp: 517, bytesDown: 4096, durationMs: 12.3 },
};
