/** An error as AWS answers it. `code` is the one that the SDK gives its error as name. */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = 'AwsError';
    this.code = code;
    this.status = status;
  }
}

/** The answer does not arrive: the connection ends before it. */
export class LostAnswer extends Error {}

export function accessDenied(arn: string, action: string, resource: string): AwsError {
  return new AwsError(
    'AccessDeniedException',
    `User: ${arn} is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`,
  );
}

/** What most services answer beyond their rate. */
export function throttled(): AwsError {
  return new AwsError('ThrottlingException', 'Rate exceeded');
}

export function internalError(): AwsError {
  return new AwsError('InternalServerError', 'An internal server error occurred.', 500);
}

export function validation(message: string): AwsError {
  return new AwsError('ValidationException', message);
}
