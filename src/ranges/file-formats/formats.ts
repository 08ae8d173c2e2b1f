import type { FileFormatName } from '../../config/ranges-config.ts';
import type { FileFormat } from './format.ts';
import { haproxyFormat } from './haproxy.ts';
import { jsonFormat } from './json.ts';
import { nginxFormat } from './nginx.ts';
import { plainFormat } from './plain.ts';
import { squidFormat } from './squid.ts';

/** One entry for each form of file. */
export const FORMATS: Readonly<Record<FileFormatName, FileFormat>> = {
  haproxy: haproxyFormat,
  json: jsonFormat,
  nginx: nginxFormat,
  plain: plainFormat,
  squid: squidFormat,
};
