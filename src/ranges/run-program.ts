import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { RangesError } from './ranges-error.ts';

const MAX_TOLD = 2000;

/**
 * Runs a program to its end.
 *
 * @returns what it wrote on standard output
 * @throws RangesError `ranges-unavailable` with what it said, when it cannot be run or does not exit with 0; AbortError
 */
export async function runProgram(
  command: readonly string[],
  signal: AbortSignal,
  input = '',
): Promise<string> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], signal });
  // A program that does not read to the end says so by its exit code.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    const [[out, err], [code]] = await Promise.all([said, once(child, 'close')]);
    if (code === 0) return out;
    throw new RangesError(
      'ranges-unavailable',
      `${command.join(' ')} failed: ${shown(err || out)}`,
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RangesError) throw error;
    const { message } = error as Error;
    throw new RangesError('ranges-unavailable', `${program} cannot be run: ${message}`, {
      cause: error,
    });
  }
}

function shown(text: string): string {
  return (
    text
      .trim()
      .replace(/\s*\n\s*/g, '; ')
      .slice(-MAX_TOLD) || 'it says nothing'
  );
}
