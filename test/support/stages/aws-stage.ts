import type { TestContext } from 'node:test';
import { Ec2 } from '../aws/ec2.ts';
import { startFakeAws } from '../aws/fake-aws.ts';
import { Interruptions } from '../aws/interruptions.ts';
import { ServiceQuotas } from '../aws/service-quotas.ts';
import { Wafv2 } from '../aws/wafv2.ts';

/** An account at AWS whose calls can fail. */
export async function startFailingAws(t: TestContext) {
  const failing = new Interruptions();
  const ec2 = new Ec2();
  const waf = new Wafv2();
  const services = [ec2.service, waf.service, new ServiceQuotas().service];
  const aws = await startFakeAws(services.map((service) => failing.wrap(service)));
  t.after(aws.close);
  Object.assign(process.env, aws.env());
  return { failing, ec2, waf, reads: /^(?:Describe|Get)/ };
}
