import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordedEnd } from '../audit/recorder.ts';
import { DEFAULT_SETTINGS, deny } from '../core/decision.ts';
import { joinSnapshots, Metrics } from './metrics.ts';

const ALLOWED: RecordedEnd = {
  listener: 'egress',
  principal: { name: 'fn-orders', template: 'fn-{name}', method: 'header' },
  decision: {
    stage: 'address',
    effect: 'allow',
    reason: 'rule-allow',
    rule: 'saas',
    mode: 'enforce',
    settings: DEFAULT_SETTINGS,
  },
  outcome: { status: 200, error: null, bytesUp: 10, bytesDown: 200 },
};

async function samples(metrics: Metrics): Promise<string[]> {
  const lines = (await joinSnapshots([await metrics.snapshot()])).split('\n');
  return lines.filter((line) => /^sekisho_/.test(line) && !/ 0$/.test(line));
}

test('exchanges are counted by what was decided, and by how they ended', async () => {
  const metrics = new Metrics('worker-1');
  metrics.exchangeEnded(ALLOWED);
  const { outcome } = ALLOWED;
  metrics.exchangeEnded({ ...ALLOWED, outcome: { ...outcome, error: 'upstream-reset' } });
  metrics.exchangeEnded({
    ...ALLOWED,
    principal: undefined,
    decision: deny('name', 'no-identity'),
    outcome: { status: 407, error: null, bytesUp: 0, bytesDown: 0 },
  });
  const expected = [
    'sekisho_exchanges_total{listener="egress",principal="fn-{name}",effect="allow",reason="rule-allow",mode="enforce"} 2',
    'sekisho_exchanges_total{listener="egress",principal="",effect="deny",reason="no-identity",mode="enforce"} 1',
    'sekisho_outcome_errors_total{listener="egress",error="upstream-reset"} 1',
    'sekisho_bytes_total{listener="egress",direction="up"} 20',
    'sekisho_bytes_total{listener="egress",direction="down"} 400',
  ];
  assert.deepEqual(await samples(metrics), expected);
  assert.deepEqual(await samples(metrics), expected, 'reading changes nothing');
});

test('the instances of a template share one label', async () => {
  const metrics = new Metrics('worker-1');
  for (let i = 0; i < 1000; i++) {
    const principal = { name: `fn-${i}`, template: 'fn-{name}', method: 'header' } as const;
    metrics.exchangeEnded({ ...ALLOWED, principal });
  }
  const lines = await samples(metrics);
  assert.equal(lines.filter((line) => line.startsWith('sekisho_exchanges_total')).length, 1);
});

test('the audit record, connections, dials, DNS and policy are told', async () => {
  const metrics = new Metrics('worker-1');
  metrics.linesWritten(3);
  metrics.linesLost(2);
  metrics.refusalSuppressed();
  metrics.connections('egress', 7);
  metrics.rejected('egress', 'peer-not-allowed');
  metrics.tunnels(1);
  metrics.tunnels(1);
  metrics.tunnels(-1);
  metrics.dialled(30, false);
  metrics.policyLoaded('sha256:old', 1_000);
  metrics.policyLoaded('sha256:new', 1_795_410_600_000);
  let lookups = 4;
  metrics.watchResolver(() => ({ lookups, failures: 1, hits: 9 }));
  lookups = 5;
  const lines = await samples(metrics);
  for (const line of [
    'sekisho_audit_lines_total 3',
    'sekisho_audit_lines_lost_total 2',
    'sekisho_audit_refusals_suppressed_total 1',
    'sekisho_open_connections{listener="egress"} 7',
    'sekisho_connections_rejected_total{listener="egress",rejection="peer-not-allowed"} 1',
    'sekisho_open_tunnels 1',
    'sekisho_dial_seconds_bucket{le="0.05",connected="true"} 1',
    'sekisho_policy_info{digest="sha256:new"} 1',
    'sekisho_policy_loaded_timestamp_seconds 1795410600',
    'sekisho_dns_lookups_total 5',
    'sekisho_dns_failures_total 1',
    'sekisho_dns_cache_hits_total 9',
  ]) {
    assert.ok(lines.includes(line), line);
  }
  assert.ok(!lines.some((line) => line.includes('sha256:old')));
});
