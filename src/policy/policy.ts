/** What this folder offers: may this principal go there, by which rule, and why. */
export type { OwnAddresses } from './address.ts';
export { compile, compiling, type Policy, type PolicyConfig } from './compile.ts';
export {
  type AddressesDecision,
  decideAddress,
  decideAddresses,
  decideName,
  goingOn,
  isLeftToParent,
} from './decide.ts';
export { type Difference, diff } from './diff.ts';
export { type Explanation, explain, type RuleExplanation } from './explain.ts';
export { findRuleProblems } from './problems.ts';
export type { Question } from './question.ts';
