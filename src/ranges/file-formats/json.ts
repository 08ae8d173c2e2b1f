import { z } from 'zod';
import { jsonOf } from '../../core/json.ts';
import type { FileFormat } from './format.ts';

const shape = z.object({ by: z.string(), ipv4: z.array(z.string()), ipv6: z.array(z.string()) });

/** `{ "by": MARK, "ipv4": […], "ipv6": […] }` */
export const jsonFormat: FileFormat = {
  write(networks, mark) {
    const of = (family: 4 | 6) =>
      networks.filter(({ base }) => base.family === family).map(({ text }) => text);
    return `${JSON.stringify({ by: mark, ipv4: of(4), ipv6: of(6) }, null, 2)}\n`;
  },
  read(text, mark) {
    const file = shape.safeParse(jsonOf(text)).data;
    return file?.by === mark ? [...file.ipv4, ...file.ipv6] : undefined;
  },
};
