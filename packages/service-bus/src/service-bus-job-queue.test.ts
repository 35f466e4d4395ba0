import { after, before, describe } from 'node:test';
import { Secret, silentLogger, silentMeter, systemClock } from '@dmg/base';
import { jobQueueContract } from '@dmg/core/testing';
import { CleanupScope } from '../../../test/harness/cleanup.ts';
import { ServiceBusJobQueue, ServiceBusJobSender } from './index.ts';
import { StandInProcess } from './testing/stand-in-process.ts';

describe('on the stand-in', () => {
  const scope = new CleanupScope();
  let standIn: StandInProcess;
  let queueNo = 0;
  before(async () => {
    standIn = await StandInProcess.start(scope);
  });
  after(() => scope.close());

  jobQueueContract('Azure Service Bus client', async ({ lockMs, maxDeliveryCount }) => {
    const queueName = await standIn.configure(`dmg-contract-${++queueNo}`, { lockMs, maxDeliveryCount });
    const connection = { connectionString: new Secret(standIn.connectionString) };
    const sender = new ServiceBusJobSender({ connection, clock: systemClock, logger: silentLogger });
    const opened: ServiceBusJobQueue[] = [];
    return {
      queueName,
      sender,
      open({ window }: { window: number }) {
        const queue = new ServiceBusJobQueue({
          connection, queueName, window, clock: systemClock, logger: silentLogger, meter: silentMeter, times: { emptyAfterMs: 300 },
        });
        opened.push(queue);
        return queue;
      },
      async close() {
        await Promise.all([sender.close(), ...opened.map((queue) => queue.stop())]);
      },
    };
  });
});
