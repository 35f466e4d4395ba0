export { connectorContract, contractChecks, type CheckFailure, contractFailures, runCheck } from './contract/contract.ts';
export { Bench, type BadEnd, type ConnectorFixture, type ContractCheck, type MakeFixture } from './contract/fixture.ts';
export { memoryFixture, testContext } from './contract/memory-fixture.ts';
export { memoryConnector, memorySpec } from './memory-connector.ts';
export { MemorySink, type MemorySinkOptions } from './memory-sink.ts';
export { type MemoryCall, type MemoryJob, type MemoryObject, MemoryStore, MemoryStores } from './memory-store.ts';
export {
  type MemoryTable, type MemoryTableCall, memoryTableConnector, type MemoryTableJob, type MemoryTableOptions, memoryTableSpec,
  MemoryTableStore,
} from './memory-table.ts';
export { type MemoryCell, readTableText, tableCsv, tableText, writeTableRow } from './memory-table-text.ts';
export { Actor, StepScheduler } from './step-scheduler.ts';
