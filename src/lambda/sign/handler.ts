import { createLogger } from '../../log.ts';
import { type InvocationContext, SigningFunction } from './signing-function.ts';

const { env } = process;

// While the function starts: a policy that does not hold shows before the first event.
const signing = new SigningFunction({
  env,
  log: createLogger(process.stderr),
  now: Date.now,
  folder: env.LAMBDA_TASK_ROOT ?? process.cwd(),
  write: (line) =>
    new Promise((resolve, reject) => {
      process.stdout.write(line, (error) => (error ? reject(error) : resolve()));
    }),
});

/** The signing function, as Lambda calls it. */
export function handler(event: unknown, context: InvocationContext): Promise<unknown> {
  return signing.handle(event, context);
}
