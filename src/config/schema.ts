import { z } from 'zod';
import { adminSchema } from './admin.ts';
import { auditSchema } from './audit.ts';
import { credentialsSchema } from './credentials.ts';
import { type ExitSurroundings, exitsSchema } from './exits.ts';
import { expectSchema } from './expect.ts';
import { gatewaySchema } from './gateway.ts';
import { groupsSchema } from './groups.ts';
import { interceptSchema } from './intercept.ts';
import { listenersSchema } from './listeners.ts';
import { Names } from './names.ts';
import { networksSchema } from './networks.ts';
import { principalsSchema } from './principals.ts';
import { rangesSchema } from './ranges.ts';
import { rulesSchema } from './rules.ts';
import { setsSchema } from './sets.ts';
import { choice, notYet, section } from './shape.ts';
import { headShape } from './sources.ts';
import { tracesSchema } from './traces.ts';

/** Every section of the language. References are resolved against `names` while a value is parsed. */
function sections(names: Names, around: ExitSurroundings) {
  return {
    gateway: gatewaySchema,
    networks: networksSchema(names).prefault({}),
    admin: adminSchema,
    listeners: listenersSchema(names),
    principals: principalsSchema(names),
    groups: groupsSchema(names),
    sets: setsSchema,
    rules: rulesSchema(names),
    enforcement: choice(['enforce', 'report']).default('enforce'),
    expect: expectSchema(names),
    exits: exitsSchema(names, around),
    credentials: credentialsSchema,
    audit: auditSchema,
    intercept: interceptSchema,
    traces: tracesSchema,
    identity: notYet('identity'),
    databases: notYet('databases'),
    ingress: notYet('ingress'),
    ranges: rangesSchema(names),
    stores: notYet('stores'),
  };
}

export function configSchema(names: Names, around: ExitSurroundings) {
  return section(sections(names, around));
}

/** For a schema that nothing is parsed by. */
const NOWHERE: ExitSurroundings = { env: {}, unsetExit: undefined };

export type WrittenConfig = z.output<ReturnType<typeof configSchema>>;

export const SECTIONS: readonly string[] = Object.keys(sections(new Names(), NOWHERE));

/** JSON Schema (draft 2020-12) of one configuration file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  const file = z.strictObject({ ...headShape, ...sections(new Names(), NOWHERE) });
  return {
    title: 'Sekisho configuration',
    ...z.toJSONSchema(file, { io: 'input' }),
    // An included file has no version.
    required: [],
  };
}
