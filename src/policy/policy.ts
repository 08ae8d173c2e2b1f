/** What this folder offers: may this principal go there, by which rule, and why. */
export type { OwnAddresses } from './address.ts';
export { compile, type Policy, type PolicyConfig } from './compile.ts';
export {
  type AddressesDecision,
  decideAddress,
  decideAddresses,
  decideName,
} from './decide.ts';
export type { Question } from './question.ts';
