export { InMemoryLedger, InMemoryLedgerData } from './in-memory-ledger.ts';
export { InMemoryReportGateway } from './in-memory-report-gateway.ts';
export { InMemorySinks, InMemoryWorker, type InMemoryWorkerOptions } from './in-memory-worker.ts';
export { epochOf, ledgerContract, type LedgerHarness, recordOf } from './ledger.contract.ts';
