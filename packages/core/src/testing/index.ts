export { InMemoryLedger, InMemoryLedgerData } from './in-memory-ledger.ts';
export { InMemoryReportGateway } from './in-memory-report-gateway.ts';
export { InMemorySinks, InMemoryWorker, type InMemoryWorkerOptions } from './in-memory-worker.ts';
export { epochOf, ledgerContract, type LedgerHarness, recordOf } from './ledger.contract.ts';
export {
  InMemoryJobQueue, type InMemoryJobQueueOptions, InMemoryJobSender, InMemoryQueues, type InMemoryQueuesOptions,
} from './in-memory-job-queue.ts';
export { jobQueueContract, type JobQueueFixture, type JobQueueFixtureOptions } from './job-queue.contract.ts';
