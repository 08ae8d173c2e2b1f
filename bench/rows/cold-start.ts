import { FunctionHost } from '../../src/lambda/runtime/function-host.ts';
import { FORMATS } from '../../src/wire/lambda-events/formats.ts';
import { startFakeAws } from '../../test/support/aws/fake-aws.ts';
import { ParameterStore } from '../../test/support/aws/ssm.ts';
import { HOST, TOKEN } from '../peers/peer.ts';
import { deployFunction, type Secrets } from '../signing.ts';
import type { Contestant, Course, Figures, Row } from './row.ts';

export const coldStart: Row = {
  name: 'cold-start',
  title: 'The signing function in a new process: until its code is loaded, and its first events',
  columns: [
    { key: 'init', title: 'init ms', digits: 0 },
    { key: 'first', title: 'first event ms', digits: 0 },
    { key: 'second', title: 'second event ms', digits: 1 },
    { key: 'memory', title: 'memory MB', digits: 0 },
  ],
  targets: [],
  notes: [
    'Init is from the start of the process until it asks for an event, as Lambda tells it: Node itself is in it, fetching and unpacking the zip is not.',
  ],
  contestants: (course) => [
    contestant('token in its environment', 'env', course),
    contestant('token in Parameter Store', 'ssm', course),
  ],
};

function contestant(name: string, secrets: Secrets, course: Course): Contestant {
  return {
    name,
    async enter() {
      const parameters = new ParameterStore();
      parameters.put('/token', TOKEN);
      const aws = await startFakeAws([parameters.service]);
      const site = course.site();
      const of = await deployFunction(site, secrets, aws.env());
      return { round: () => round(of, site.httpsPort), leave: aws.close };
    },
  };
}

const EVENT = {
  method: 'GET',
  path: '/',
  query: undefined,
  body: Buffer.alloc(0),
  client: '192.0.2.1',
};
const PLACE = { requestId: 'bench', now: 0, region: 'ap-northeast-1', account: '123456789012' };

async function round(
  of: Awaited<ReturnType<typeof deployFunction>>,
  port: number,
): Promise<Figures> {
  let printed = '';
  const print = (text: string) => {
    printed += text;
  };
  const host = new FunctionHost({ ...of, print }, 1);
  const headers = [['Host', `${HOST}:${port}`]] as const;
  const event = JSON.stringify(FORMATS.alb.writeRequest({ ...EVENT, headers }, PLACE));
  try {
    for (let i = 0; i < 2; i++) {
      const invoked = await host.invoke(Buffer.from(event));
      const { statusCode } = JSON.parse(String(invoked?.payload));
      if (statusCode !== 200) throw new Error(`the function answered ${invoked?.payload}`);
    }
  } finally {
    host.stop();
  }
  const [first = '', second = ''] = printed.match(/^REPORT .*$/gm) ?? [];
  return {
    init: told(first, 'Init Duration'),
    first: told(first, '\tDuration'),
    second: told(second, '\tDuration'),
    memory: told(second, 'Max Memory Used'),
  };
}

function told(report: string, what: string): number {
  return Number(new RegExp(`${what}: ([\\d.]+)`).exec(report)?.[1]);
}
