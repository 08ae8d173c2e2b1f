/** The library for workloads. */
export { CALL_FAILURES, CallFailure, type CallFailureCode } from './call-failure.ts';
export {
  type Connector,
  type FunctionTransport,
  functionTransport,
  type TransportOptions,
} from './function-transport.ts';
