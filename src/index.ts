/** What other programs may build on: loading a configuration and running a gateway from it. */
export type { AuditEvent, DecisionEvent, OutcomeEvent } from './audit/event.ts';
export { type Loaded, load } from './config/load.ts';
export { ConfigError, type Diagnostic } from './core/diagnostic.ts';
export { SekishoError } from './core/errors.ts';
export { type Gateway, startGateway } from './gateway.ts';
export { createLogger } from './log.ts';
export type { PrimarySurroundings } from './workers.ts';
