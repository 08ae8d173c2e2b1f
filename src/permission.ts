import type { Permit } from './exchange.ts';
import type { Permission } from './upstream/grants.ts';

/** What only the place that serves an exchange can add to its permit. */
type OwnPart = Pick<Permission, 'credential' | 'intercept' | 'opened' | 'read'>;

/** A permit in the form that the ways out take it in. */
export function permissionOf(permit: Permit, own: OwnPart): Permission {
  const { record, decision, principal, question, addresses, inForce } = permit;
  return {
    ...own,
    id: record.id,
    decision,
    principal,
    contact: decision.owner ?? principal?.owner ?? inForce.contact,
    identityHeaders: inForce.identityHeaders,
    trace: record.trace,
    alsoTrust: inForce.config.intercept.alsoTrust,
    destination: question.destination,
    addresses,
    record: (later) => record.decision(later),
    dialled: (connection) => record.dialled(connection),
    answered: () => record.passed('answer'),
  };
}
