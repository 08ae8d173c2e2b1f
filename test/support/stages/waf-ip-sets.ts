import type { TestContext } from 'node:test';
import { MARK, targetOf } from '../ranges.ts';
import { startFailingAws } from './aws-stage.ts';
import type { Stage } from './stage.ts';

export async function wafIpSetsStage(t: TestContext): Promise<Stage> {
  const { waf, failing, reads } = await startFailingAws(t);
  const addresses = () => [...waf.sets.values()].flatMap((set) => set.addresses);
  return {
    config: targetOf('wafIpSets: { ipSets: [{ name: four, id: a4 }], region: ap-northeast-1 }'),
    failing,
    reads,
    set({ before }) {
      const set = waf.add('four', 'a4', 'IPV4');
      set.addresses = [...before];
      set.description = MARK;
    },
    passing: addresses,
    ours: addresses,
    theirs: () => [],
    watch: (look) => {
      waf.onChange = look;
    },
  };
}
