import type { IncomingHttpHeaders } from 'node:http';
import type { AwsError } from './aws-error.ts';
import type { AwsIdentity, SignatureFault, Verified } from './sigv4.ts';

/** A request as it arrived, before anybody looked at who signed it. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query, exactly as sent. */
  readonly url: string;
  /** Lower-case names; a repeated one joined by comma. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** How a service is spoken to: one for all services of that kind. */
export interface Protocol {
  /** @throws AwsError for what names no operation */
  read(request: SignedRequest): { operation: string; input: Input };
  answer(operation: string, output: unknown, requestId: string): Reply;
  refuse(error: AwsError, requestId: string): Reply;
  /** What this kind of service calls a signature that does not hold. */
  signatureError(fault: SignatureFault): AwsError;
}

// What a client sends is as free as JSON: each operation checks what it reads.
export type Input = Readonly<Record<string, unknown>>;

/** Who calls, from where. */
export interface Call {
  readonly service: string;
  readonly operation: string;
  readonly input: Input;
  readonly region: string;
  readonly identity: AwsIdentity;
  readonly request: SignedRequest;
  /** How it was signed. */
  readonly verified: Verified;
  /** Of this operation alone, from 1 on. */
  readonly number: number;
}

/** One operation: its output, or an AwsError thrown. */
export type Operation = (input: Input, call: Call) => unknown;

export interface FakeService {
  /** As it stands in the scope of a signature: `ssm`, `secretsmanager`, `ec2`. */
  readonly name: string;
  readonly protocol: Protocol;
  /** What a call is about, as IAM sees it: an ARN, or its part after the account. Without it: `*`. */
  readonly resources?: (call: Call) => readonly string[];
  readonly operations: Readonly<Record<string, Operation>>;
}
