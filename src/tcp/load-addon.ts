import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** `built` by the compiler of the machine that it was installed on, or `prebuilt` with the release. */
export type AddonOrigin = 'built' | 'prebuilt';

export type LoadedAddon =
  | { readonly addon: unknown; readonly origin: AddonOrigin }
  | { readonly obstacle: string };

/** Beside `src` as beside `dist`. */
const FOLDER = new URL('../../native/', import.meta.url);

/** The native part of this installation, or why there is none: what was compiled here comes first. */
export function loadAddon(): LoadedAddon {
  if (process.env.SEKISHO_NATIVE === 'off') return { obstacle: 'SEKISHO_NATIVE is off' };
  const obstacles: string[] = [];
  for (const [origin, name] of candidates()) {
    const path = fileURLToPath(new URL(name, FOLDER));
    if (!existsSync(path)) continue;
    try {
      return { addon: createRequire(import.meta.url)(path) as unknown, origin };
    } catch (error) {
      obstacles.push(`${name}: ${(error as Error).message}`);
    }
  }
  const none = 'it was not built at install, and none that is prebuilt is for this platform';
  return { obstacle: obstacles.join('; ') || none };
}

function* candidates(): Generator<readonly [AddonOrigin, string]> {
  yield ['built', 'tunnel.node'];
  const { platform, arch } = process;
  yield ['prebuilt', `prebuilt/${[platform, arch, ...libc()].join('-')}.node`];
}

/** Machine code for one C library is not for another. Only Linux has several; its kernel tells which one is loaded. */
function libc(): string[] {
  if (process.platform !== 'linux') return [];
  return [readFileSync('/proc/self/maps', 'utf8').includes('/libc.so.6') ? 'glibc' : 'other'];
}
