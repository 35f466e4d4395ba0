export { memoryConnector, memorySpec } from './memory-connector.ts';
export { MemorySink, type MemorySinkOptions } from './memory-sink.ts';
export { type MemoryCall, type MemoryJob, type MemoryObject, MemoryStore, MemoryStores } from './memory-store.ts';
