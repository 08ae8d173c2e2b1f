/** Where the record's own troubles are told. pino fits. */
export interface AuditLog {
  info(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
