import type { BlobCalls } from '../blob-calls.ts';

/** The same calls but for those that `change` gives. */
export function withCalls(calls: BlobCalls, change: Partial<BlobCalls>): BlobCalls {
  return {
    store: calls.store,
    facts: (path, signal) => calls.facts(path, signal),
    blocks: (path, type, signal) => calls.blocks(path, type, signal),
    stage: (path, block, signal) => calls.stage(path, block, signal),
    commit: (path, commit, signal) => calls.commit(path, commit, signal),
    recommit: (path, facts, signal) => calls.recommit(path, facts, signal),
    renewEtag: (path, facts, signal) => calls.renewEtag(path, facts, signal),
    remove: (path, etag, signal) => calls.remove(path, etag, signal),
    readText: (path, signal) => calls.readText(path, signal),
    writeText: (path, write, signal) => calls.writeText(path, write, signal),
    ...change,
  };
}
