import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordedEnd } from '../audit/recorder.ts';
import { DEFAULT_SETTINGS, deny } from '../core/decision.ts';
import { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { PrimaryMetrics } from './primary.ts';
import { addCounts, joinSnapshots, type MetricSnapshot } from './snapshot.ts';
import { WorkerMetrics } from './worker.ts';

const CLIENT = Ip.parse('10.0.0.5') as Ip;

const ALLOWED: RecordedEnd = {
  id: '019ab0c4-2f1e-7c3a-9d52-1b7f0a3c5e88',
  conversation: {
    listener: 'egress',
    client: { ip: CLIENT, port: 41234 },
    peer: CLIENT,
    action: 'GET',
    destination: { scheme: 'http', host: Hostname.parse('api.example.com'), port: 80 },
    request: { method: 'GET', path: '/' },
  },
  principal: { name: 'fn-orders', template: 'fn-{name}', method: 'header' },
  decision: {
    stage: 'address',
    effect: 'allow',
    reason: 'rule-allow',
    rule: 'saas',
    mode: 'enforce',
    settings: DEFAULT_SETTINGS,
  },
  address: undefined,
  outcome: { status: 200, error: null, bytesUp: 10, bytesDown: 200 },
  durationMs: 30,
  span: undefined,
  steps: [],
};

interface Snapshots {
  snapshot(): Promise<MetricSnapshot>;
}

/** What the processes together tell, without zeros and what is told of any process. */
async function samples(...processes: Snapshots[]): Promise<string[]> {
  const text = await joinSnapshots(await Promise.all(processes.map((one) => one.snapshot())));
  return text.split('\n').filter((line) => /^sekisho_/.test(line) && !/ 0$/.test(line));
}

function assertHolds(lines: readonly string[], expected: readonly string[]): void {
  assert.deepEqual(
    expected.filter((line) => !lines.includes(line)),
    [],
  );
}

test('exchanges are counted by what was decided, and by how they ended', async () => {
  const metrics = new WorkerMetrics('worker-1');
  const { exchanges } = metrics;
  exchanges.ended(ALLOWED);
  const { outcome, conversation } = ALLOWED;
  exchanges.ended({ ...ALLOWED, outcome: { ...outcome, error: 'upstream-reset' } });
  exchanges.ended({
    ...ALLOWED,
    conversation: { ...conversation, request: undefined },
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
    'sekisho_request_seconds_bucket{le="0.05",listener="egress",effect="allow"} 2',
    'sekisho_request_seconds_bucket{le="+Inf",listener="egress",effect="allow"} 2',
    'sekisho_request_seconds_count{listener="egress",effect="allow"} 2',
  ];
  const told = await samples(metrics);
  assertHolds(told, expected);
  assert.ok(!told.some((line) => line.includes('le="0.025",listener')), 'not in lower buckets');
  assert.deepEqual(await samples(metrics), told, 'reading changes nothing');
});

test('the instances of a template share one label, and so do principals beyond a bound', async () => {
  const metrics = new WorkerMetrics('worker-1');
  for (let i = 0; i < 2_000; i++) {
    const instance = { name: `fn-${i}`, template: 'fn-{name}', method: 'header' } as const;
    metrics.exchanges.ended({ ...ALLOWED, principal: instance });
    const own = { name: `p-${i}`, method: 'header' } as const;
    metrics.exchanges.ended({ ...ALLOWED, principal: own });
  }
  const lines = await samples(metrics);
  const exchanges = lines.filter((line) => line.startsWith('sekisho_exchanges_total'));
  assert.equal(exchanges.length, 501);
  assert.equal(exchanges.filter((line) => / 2000$/.test(line)).length, 1);
  assert.match(exchanges.find((line) => line.includes('"other"')) ?? '', / 1501$/);
});

test('steps, connections, ways out, DNS and the record are told', async () => {
  const metrics = new WorkerMetrics('worker-1');
  metrics.exchanges.passed('record', 0.2);
  metrics.exchanges.passed('record', 20_000);
  metrics.connections.open('egress', 1);
  metrics.connections.open('egress', 2);
  metrics.connections.open('egress', 1);
  metrics.connections.rejected('egress', 'peer-not-allowed');
  metrics.connections.ownPage('egress', 200);
  metrics.waysOut.tunnels(1);
  metrics.waysOut.tunnels(1);
  metrics.waysOut.tunnels(-1);
  metrics.waysOut.dialled(undefined, 30, 'connected');
  metrics.waysOut.dialled('fixed', 10_000, 'connect-timeout');
  metrics.dns.lookedUp(3, 'answered');
  metrics.record.linesWritten(3, 0.2);
  metrics.record.linesLost(2);
  metrics.record.refusalSuppressed();
  metrics.traces.exported(7);
  metrics.traces.exportFailed(2);
  metrics.traces.spansLost(4, 'full');
  metrics.fault();
  metrics.watch({
    resolver: { stats: { hits: 9, inFlight: 1, kept: 5 } },
    pool: {
      stats: { kept: 3, sessions: 2, streams: 5, reused: 8, missed: 2, discarded: 1 },
    },
    writer: { waiting: { lines: 4, characters: 400 } },
  });
  assertHolds(await samples(metrics), [
    'sekisho_step_seconds_bucket{le="0.00025",step="record"} 1',
    'sekisho_step_seconds_bucket{le="10",step="record"} 1',
    'sekisho_step_seconds_bucket{le="+Inf",step="record"} 2',
    'sekisho_step_seconds_sum{step="record"} 20.0002',
    'sekisho_open_connections{listener="egress"} 1',
    'sekisho_connections_total{listener="egress"} 2',
    'sekisho_connections_rejected_total{listener="egress",rejection="peer-not-allowed"} 1',
    'sekisho_own_pages_total{listener="egress",status="200"} 1',
    'sekisho_open_tunnels 1',
    'sekisho_dial_seconds_bucket{le="0.05",exit="",outcome="connected"} 1',
    'sekisho_dial_seconds_count{exit="fixed",outcome="connect-timeout"} 1',
    'sekisho_pool_connections{protocol="http/1"} 3',
    'sekisho_pool_connections{protocol="h2"} 2',
    'sekisho_pool_streams 5',
    'sekisho_pool_requests_total{found="reused"} 8',
    'sekisho_pool_requests_total{found="missed"} 2',
    'sekisho_pool_discarded_total 1',
    'sekisho_dns_lookup_seconds_count{outcome="answered"} 1',
    'sekisho_dns_cache_hits_total 9',
    'sekisho_dns_lookups_in_flight 1',
    'sekisho_dns_cache_names 5',
    'sekisho_audit_lines_total 3',
    'sekisho_audit_lines_lost_total 2',
    'sekisho_audit_refusals_suppressed_total 1',
    'sekisho_audit_write_seconds_count 1',
    'sekisho_audit_waiting_lines 4',
    'sekisho_audit_waiting_characters 400',
    'sekisho_trace_spans_exported_total 7',
    'sekisho_trace_spans_lost_total{why="failed"} 2',
    'sekisho_trace_spans_lost_total{why="full"} 4',
    'sekisho_trace_export_failures_total 1',
    'sekisho_faults_total 1',
  ]);
});

test('policy, reloads, checkpoints and the build are told', async () => {
  const metrics = new PrimaryMetrics('0.1.0', 1_795_410_000_000);
  metrics.policyLoaded('sha256:old', 1_000);
  metrics.policyLoaded('sha256:new', 1_795_410_600_000);
  metrics.watchWorkers(() => [
    { state: 'accepting', restarts: 0 },
    { state: 'accepting', restarts: 2 },
    { state: 'backing-off', restarts: 5 },
  ]);
  metrics.reloaded();
  metrics.reloadRefused();
  metrics.checkpointFailed();
  metrics.checkpointCopyFailed();
  assert.ok(!(await samples(metrics)).some((line) => /^sekisho_audit_checkpoint_time/.test(line)));
  metrics.checkpointTaken(1_795_410_660_000);
  const lines = await samples(metrics);
  assertHolds(lines, [
    'sekisho_policy_info{digest="sha256:new"} 1',
    'sekisho_policy_loaded_timestamp_seconds 1795410600',
    'sekisho_reloads_total 1',
    'sekisho_reloads_refused_total 1',
    'sekisho_audit_checkpoint_timestamp_seconds 1795410660',
    'sekisho_audit_checkpoint_failures_total 1',
    'sekisho_audit_checkpoint_copy_failures_total 1',
    'sekisho_started_timestamp_seconds 1795410000',
    'sekisho_workers{state="accepting"} 2',
    'sekisho_workers{state="backing-off"} 1',
    'sekisho_worker_restarts_total 7',
  ]);
  assert.ok(!lines.some((line) => line.includes('sha256:old')));
  assert.ok(lines.some((line) => /^sekisho_build_info\{version="0\.1\.0",node="\d/.test(line)));
});

test('what several processes have counted is added up, and what one of them knows stays as it is', async () => {
  const [a, b] = [new WorkerMetrics('worker-1'), new WorkerMetrics('worker-2')];
  const primary = new PrimaryMetrics('0.1.0', 1_000);
  primary.policyLoaded('sha256:new', 5_000);
  primary.fault();
  for (const metrics of [a, b]) {
    metrics.fault();
    metrics.exchanges.ended(ALLOWED);
    metrics.exchanges.passed('open', 3);
    metrics.connections.open('egress', 1);
  }
  b.exchanges.ended({ ...ALLOWED, principal: undefined });
  // As between processes.
  const sent = async (metrics: Snapshots) => structuredClone(await metrics.snapshot());
  const remote = [a, b].map((metrics) => ({ snapshot: () => sent(metrics) }));
  assertHolds(await samples(primary, ...remote), [
    'sekisho_exchanges_total{listener="egress",principal="fn-{name}",effect="allow",reason="rule-allow",mode="enforce"} 2',
    'sekisho_exchanges_total{listener="egress",principal="",effect="allow",reason="rule-allow",mode="enforce"} 1',
    'sekisho_step_seconds_bucket{le="0.005",step="open"} 2',
    'sekisho_step_seconds_count{step="open"} 2',
    'sekisho_open_connections{listener="egress"} 2',
    'sekisho_faults_total 3',
    'sekisho_policy_info{digest="sha256:new"} 1',
    'sekisho_policy_loaded_timestamp_seconds 5',
  ]);
});

test('of a process that is gone its counts stay, and nothing that it had', async () => {
  const [gone, present] = [new WorkerMetrics('worker-1'), new WorkerMetrics('worker-1')];
  for (const metrics of [gone, present]) {
    metrics.exchanges.ended(ALLOWED);
    metrics.exchanges.passed('open', 3);
    metrics.connections.open('egress', 1);
  }
  const counts = await addCounts([], await gone.snapshot());
  assertHolds(await samples(present, { snapshot: async () => counts }), [
    'sekisho_exchanges_total{listener="egress",principal="fn-{name}",effect="allow",reason="rule-allow",mode="enforce"} 2',
    'sekisho_step_seconds_bucket{le="0.005",step="open"} 2',
    'sekisho_connections_total{listener="egress"} 2',
    'sekisho_open_connections{listener="egress"} 1',
  ]);
});

test('each process tells of its memory, CPU, descriptors and event loop', async () => {
  const processes = [new PrimaryMetrics('0.1.0', 1_000), new WorkerMetrics('worker-1')];
  const text = await joinSnapshots(await Promise.all(processes.map((one) => one.snapshot())));
  const lines = text.split('\n');
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'nodejs_heap_size_used_bytes',
    'nodejs_eventloop_lag_p99_seconds',
    ...(process.platform === 'linux' ? ['process_open_fds', 'process_max_fds'] : []),
  ])
    for (const who of ['primary', 'worker-1']) {
      const own = lines.find((line) => line.startsWith(`${name}{process="${who}"} `));
      assert.ok(Number(own?.split(' ')[1]) >= 0, `${name} of ${who}: ${own}`);
    }
});
