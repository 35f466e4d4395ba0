export { InMemoryLeaseStore } from './in-memory-lease-store.ts';
export { InMemoryLedger } from './in-memory-ledger.ts';
export { type InMemoryLead, InMemoryMaster } from './in-memory-master.ts';
export { InMemoryReportGateway } from './in-memory-report-gateway.ts';
export { InMemorySinks, InMemoryWorker, type InMemoryWorkerOptions } from './in-memory-worker.ts';
export { leaseStoreContract } from './lease-store.contract.ts';
export { ledgerContract, recordOf } from './ledger.contract.ts';
export { contractNode, epochOf, grantEpoch, type MakeMasters, type MastersFixture } from './masters-fixture.ts';
export {
  InMemoryJobQueue, type InMemoryJobQueueOptions, InMemoryJobSender, InMemoryQueues, type InMemoryQueuesOptions,
} from './in-memory-job-queue.ts';
export { jobQueueContract, type JobQueueFixture, type JobQueueFixtureOptions } from './job-queue.contract.ts';
export { memberState, nodeFacts } from './node-facts.ts';
