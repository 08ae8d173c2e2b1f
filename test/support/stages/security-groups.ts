import type { TestContext } from 'node:test';
import { MARK, targetOf } from '../ranges.ts';
import { startFailingAws } from './aws-stage.ts';
import type { Stage } from './stage.ts';

export async function securityGroupsStage(t: TestContext): Promise<Stage> {
  const { ec2, failing, reads } = await startFailingAws(t);
  const groups = ec2.securityGroups;
  groups.pageSize = 3;
  for (const id of ['sg-1', 'sg-2']) groups.addGroup(id);
  const peers = (ours: boolean) =>
    groups.rules
      .filter(({ description }) => (description === MARK) === ours)
      .map(({ peer }) => peer);
  return {
    config: targetOf(
      'securityGroups: { groups: [sg-1, sg-2], protocol: tcp, port: 3306, quota: 9, region: ap-northeast-1 }',
    ),
    failing,
    reads,
    set({ before, foreign }) {
      groups.rules.length = 0;
      for (const [i, peer] of before.entries()) {
        groups.addRule(i < 4 ? 'sg-1' : 'sg-2', peer, { description: MARK });
      }
      for (const peer of foreign) if (!before.includes(peer)) groups.addRule('sg-1', peer);
    },
    passing: () => groups.rules.map(({ peer }) => peer),
    ours: () => peers(true),
    theirs: () => peers(false),
    watch: (look) => {
      groups.onChange = look;
    },
  };
}
