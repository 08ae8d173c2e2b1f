import { InvalidArgumentError } from 'commander';
import type { Bind } from '../config/config.ts';

/** `127.0.0.1:8000`, `localhost:8000`, `[::1]:8000`, `:8000`: whoever reaches it may use it, so it is for this host alone. */
export function parseLoopback(text: string): Bind {
  const [, host = '', port = ''] = /^(.*):([0-9]{1,5})$/.exec(text) ?? [];
  const bare = host === '' || host === 'localhost' ? '127.0.0.1' : host.replace(/^\[(.*)\]$/, '$1');
  if (port === '' || Number(port) > 65_535) throw new InvalidArgumentError('Write 127.0.0.1:8000.');
  if (/^127\.\d+\.\d+\.\d+$/.test(bare) || bare === '::1')
    return { host: bare, port: Number(port) };
  throw new InvalidArgumentError('Only addresses of this host itself are taken: 127.0.0.1:8000.');
}
