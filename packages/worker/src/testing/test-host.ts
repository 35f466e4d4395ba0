import { silentLogger, silentMeter, systemClock, systemRandom } from '@dmg/base';
import type { Job } from '@dmg/model';
import { LocalWorker } from '../local-worker.ts';
import type { Script } from './scripted-job.ts';
import { scriptedJob } from './scripted-job.ts';
import { epochOne, shortTimes, testExecutorModule } from './scripted-worker.ts';

/**
 * A host in a process of its own, to be killed. Arguments: node id, run directory, and the scripts of the jobs that it runs, as
 * JSON. Sends the pids of its executors when all jobs run.
 */
const [nodeId = '', runDirectory = '', scripts = '[]'] = process.argv.slice(2);
const jobs = (JSON.parse(scripts) as Script[]).map((script, index) => scriptedJob({ jobId: `job-${index}`, script }));
const worker = new LocalWorker({
  nodeId, runDirectory, nodeName: 'Node_1', executorModule: testExecutorModule, concurrentJobsLimit: jobs.length, warmExecutors: 0,
  verify: (signed) => JSON.parse(signed) as Job, times: { ...shortTimes, tickLimitMs: 60_000 },
  clock: systemClock, random: systemRandom, logger: silentLogger, meter: silentMeter,
});
await worker.start();
for (const job of jobs) {
  const answer = await worker.dispatch({ job, signedJob: JSON.stringify(job), attemptId: job.jobId, step: 'copy', epoch: epochOne });
  if (!answer.accepted) throw new Error(answer.evidence);
}
process.send?.({ pids: worker.executorPids });
