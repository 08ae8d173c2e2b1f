import type { TestContext } from 'node:test';
import { MARK, targetOf } from '../ranges.ts';
import { startFailingAws } from './aws-stage.ts';
import type { Stage } from './stage.ts';

export async function prefixListsStage(t: TestContext): Promise<Stage> {
  const { ec2, failing, reads } = await startFailingAws(t);
  const { prefixLists: fake } = ec2;
  fake.pageSize = 5;
  const entries = () => [...fake.lists.values()].flatMap((list) => list.entries);
  const cidrs = (ours: boolean) =>
    entries()
      .filter(({ description }) => (description === MARK) === ours)
      .map(({ cidr }) => cidr);
  return {
    config: targetOf('prefixLists: { lists: [pl-1, pl-2], maxEntries: 9, region: ap-northeast-1 }'),
    failing,
    reads,
    set({ before, foreign }) {
      fake.lists.clear();
      const [one, two] = ['pl-1', 'pl-2'].map((id) => fake.add(id, 'IPv4', 8));
      for (const [i, cidr] of before.entries()) {
        (i < 4 ? one : two)?.entries.push({ cidr, description: MARK });
      }
      for (const cidr of foreign) {
        if (!before.includes(cidr)) one?.entries.push({ cidr, description: undefined });
      }
    },
    passing: () => entries().map(({ cidr }) => cidr),
    ours: () => cidrs(true),
    theirs: () => cidrs(false),
    watch: (look) => {
      fake.onChange = look;
    },
  };
}
