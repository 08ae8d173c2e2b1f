import type { z } from 'zod';
import type { Config } from './config.ts';
import type { Merged } from './merge.ts';
import { bind } from './networks.ts';
import { secretRef, toSecretRef } from './secret-ref.ts';
import { section } from './shape.ts';

const TOKEN = ['admin', 'token'] as const;

export const adminSchema = section({
  bind: bind.prefault('127.0.0.1:9090'),
  token: secretRef.optional(),
}).prefault({});

export function toAdmin(written: z.output<typeof adminSchema>, merged: Merged): Config['admin'] {
  const token = written.token && toSecretRef(written.token, merged.at(TOKEN), merged.folder(TOKEN));
  return { bind: written.bind, token };
}
