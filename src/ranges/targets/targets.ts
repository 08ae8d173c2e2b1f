import type { RangesTargetConfig } from '../../config/ranges-config.ts';
import { FileTarget } from './file.ts';
import { Nftables } from './nftables.ts';
import { PrefixLists } from './prefix-lists.ts';
import { SecurityGroups } from './security-groups.ts';
import type { Target } from './target.ts';
import { WafIpSets } from './waf-ip-sets.ts';

/** One line for each kind. */
export function createTarget(config: RangesTargetConfig): Target {
  switch (config.kind) {
    case 'securityGroups':
      return new SecurityGroups(config);
    case 'prefixLists':
      return new PrefixLists(config);
    case 'wafIpSets':
      return new WafIpSets(config);
    case 'nftables':
      return new Nftables(config);
    case 'file':
      return new FileTarget(config);
  }
}
