import { type Diagnostic, Fault, quote } from '../core/diagnostic.ts';
import type { Bind, Config } from './config.ts';
import type { Merged } from './merge.ts';
import type { Path } from './yaml-document.ts';

/** One address and port can be bound once. Port 0 is a new one each time. */
export function checkBinds(config: Config, merged: Merged, faults: Diagnostic[]): void {
  const seen = new Map<string, Path>();
  for (const { bind, path } of allBinds(config)) {
    if (bind.port === 0) continue;
    const text = bind.host.includes(':')
      ? `[${bind.host}]:${bind.port}`
      : `${bind.host}:${bind.port}`;
    const first = seen.get(text);
    if (first === undefined) {
      seen.set(text, path);
      continue;
    }
    const message = `${quote(text)} is also bound by ${first.slice(0, -1).join('.')}`;
    faults.push(new Fault(message, 'give each its own port').at(merged.at(path)));
  }
}

function allBinds({ admin, gateway, listeners }: Config): { bind: Bind; path: Path }[] {
  return [
    { bind: admin.bind, path: ['admin', 'bind', 0] },
    ...(gateway.health ? [{ bind: gateway.health, path: ['gateway', 'health', 0] }] : []),
    ...listeners.flatMap(({ name, bind: binds }) =>
      binds.map((bind, i) => ({ bind, path: ['listeners', name, 'bind', i] })),
    ),
  ];
}
