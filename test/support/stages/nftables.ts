import type { TestContext } from 'node:test';
import { aggregate } from '../../../src/core/aggregate.ts';
import { Cidr } from '../../../src/core/ip.ts';
import { packetFilter } from '../packet-filter.ts';
import { MARK, targetOf } from '../ranges.ts';
import type { Stage } from './stage.ts';

/** A real packet filter, in a namespace of its own. */
export async function nftablesStage(t: TestContext): Promise<Stage> {
  const { rules, elements, fail, calls } = packetFilter(t);
  const held = () =>
    elements('rds4').map((text) => {
      const [network = '', ...comment] = text.split(' ');
      return { network: network.includes('/') ? network : `${network}/32`, comment };
    });
  const ofWhom = (ours: boolean) =>
    held()
      .filter(({ comment }) => (comment.join(' ') === `comment "${MARK}"`) === ours)
      .map(({ network }) => network);
  return {
    config: targetOf('nftables: { table: filter, ipv4: rds4 }'),
    failing: {
      get operations() {
        return calls();
      },
      begin: (number, how) => fail(how === 'lost' ? 'after' : 'before', number),
      end: () => fail('before', 0),
    },
    reads: /^-[jt]$/,
    /** Elements of a set never overlap. */
    set({ before }) {
      const networks = aggregate(before.map((text) => Cidr.parse(text) as Cidr));
      const marked = networks.map(({ text }) => `${text} comment "${MARK}"`).join(', ');
      rules(`flush set inet filter rds4\nadd element inet filter rds4 { ${marked} }\n`);
    },
    passing: () => held().map(({ network }) => network),
    ours: () => ofWhom(true),
    theirs: () => ofWhom(false),
    // What the kernel does in one transaction is seen before and after it alone.
    watch: () => undefined,
  };
}
