import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Namespace } from './namespaces.ts';

const RULESET = `table inet filter {
  set rds4 { type ipv4_addr; flags interval; }
  set rds6 { type ipv6_addr; flags interval; }
  chain input {
    type filter hook input priority 0; policy accept;
    ct state established,related accept
    tcp dport 3306 ip saddr @rds4 accept
    tcp dport 3306 ip6 saddr @rds6 accept
    tcp dport 3306 reject with tcp reset
  }
}
`;

/** A namespace with a packet filter, and `nft` on the PATH that works there and can be made to fail. */
export function packetFilter(t: TestContext) {
  const namespace = new Namespace('filter');
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-nft-'));
  const at = (file: string) => join(dir, file);
  // A fourth of what `ip netns exec` takes.
  const inside = `--net=/run/netns/${namespace.name}`;
  const nft = execFileSync('sh', ['-c', 'command -v nft'], { encoding: 'utf8' }).trim();
  writeFileSync(
    at('nft'),
    `#!/bin/sh
echo "$1" >> ${at('calls')}
n=0; while read -r _; do n=$((n + 1)); done < ${at('calls')}
read -r before < ${at('before')}; read -r after < ${at('after')}
[ $n = $before ] && { echo broken >&2; exit 1; }
nsenter ${inside} ${nft} "$@" || exit
[ $n = $after ] && { echo broken >&2; exit 1; }
exit 0
`,
  );
  chmodSync(at('nft'), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${dir}:${path}`;
  t.after(async () => {
    process.env.PATH = path;
    await namespace.stop();
    rmSync(dir, { recursive: true });
  });
  const rules = (text: string) =>
    execFileSync('nsenter', [inside, nft, '-f', '-'], { input: text });
  const elements = (set: string) => {
    const args = [inside, nft, 'list', 'set', 'inet', 'filter', set];
    const listed = execFileSync('nsenter', args, { encoding: 'utf8' });
    const [, listing = ''] = /elements = \{([^}]*)\}/.exec(listed) ?? [];
    return listing
      .split(',')
      .map((one) => one.trim().replace(/\s+/g, ' '))
      .filter(Boolean);
  };
  const fail = (how: 'before' | 'after', call: number) => {
    writeFileSync(at('calls'), '');
    writeFileSync(at('before'), how === 'before' ? `${call}\n` : '0\n');
    writeFileSync(at('after'), how === 'after' ? `${call}\n` : '0\n');
  };
  /** The first argument of each call: `-f` changes something, `-j` and `-t` read. */
  const calls = () => readFileSync(at('calls'), 'utf8').split('\n').slice(0, -1);
  fail('before', 0);
  rules(RULESET);
  return { namespace, rules, elements, fail, calls };
}
