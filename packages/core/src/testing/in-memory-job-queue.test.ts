import { systemClock } from '@dmg/base';
import { InMemoryJobQueue, InMemoryJobSender, InMemoryQueues } from './in-memory-job-queue.ts';
import { jobQueueContract } from './job-queue.contract.ts';

jobQueueContract('in memory', (options) => {
  const queues = new InMemoryQueues({ clock: systemClock, ...options });
  const opened: InMemoryJobQueue[] = [];
  return Promise.resolve({
    queueName: 'gateway',
    sender: new InMemoryJobSender(queues),
    open({ window }: { window: number }) {
      const queue = new InMemoryJobQueue({ queues, queueName: 'gateway', window });
      opened.push(queue);
      return queue;
    },
    async close() {
      for (const queue of opened) await queue.stop();
    },
  });
});
