import { bulkDown, bulkUp } from './bulk.ts';
import { churn } from './churn.ts';
import { coldStart } from './cold-start.ts';
import { connectHello, connectRaw } from './connect.ts';
import { decide } from './decide.ts';
import { byFunction } from './function.ts';
import { idle } from './idle.ts';
import { injected } from './injected.ts';
import { intercept } from './intercept.ts';
import { latency } from './latency.ts';
import { plainHttp } from './plain-http.ts';
import { ranges } from './ranges.ts';
import { reload } from './reload.ts';
import { rest } from './rest.ts';
import type { Row } from './row.ts';
import { workers } from './workers.ts';

export const ROWS: readonly Row[] = [
  plainHttp,
  injected,
  intercept,
  connectRaw,
  connectHello,
  bulkDown,
  bulkUp,
  idle,
  latency,
  decide,
  workers,
  reload,
  rest,
  churn,
  ranges,
  byFunction,
  coldStart,
];
