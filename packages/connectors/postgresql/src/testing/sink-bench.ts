import { createHash } from 'node:crypto';
import { silentLogger, systemClock, systemRandom } from '@dmg/base';
import type { ChunkFacts, ConnectorContext, Sink } from '@dmg/connector-api';
import type { ChunkRef, CopyEnd, JsonObject, Mark, Plan, PlanTarget, Receipt, TableColumn } from '@dmg/model';
import { openTableSink } from '../sink/open-table-sink.ts';
import type { PostgresTableSink } from '../sink/postgres-table-sink.ts';
import type { PostgresServer, ServerOwner } from './postgres-server.ts';

export const never: AbortSignal = new AbortController().signal;

/** Opens sinks of one server's tables for tests, and closes them. */
export class SinkBench {
  readonly #server: PostgresServer;
  readonly #owner: ServerOwner;

  constructor(owner: ServerOwner, server: PostgresServer) {
    this.#owner = owner;
    this.#server = server;
  }

  get context(): ConnectorContext {
    return { clock: systemClock, random: systemRandom, logger: silentLogger, secrets: this.#server.secrets, callLimitMs: 10_000 };
  }

  sink(options: {
    attempt: string; jobId?: string; table?: string; schema?: string; settings?: JsonObject; port?: number; callLimitMs?: number;
    blockerPatienceMs?: number; user?: string;
  }): PostgresTableSink {
    const { attempt, jobId = 'job-1', table = 't', schema, settings = {}, port, callLimitMs, blockerPatienceMs, user } = options;
    const end: CopyEnd = {
      connector: 'postgresql',
      connection: {
        ...this.#server.connection, ...(port === undefined ? {} : { port }), ...(user === undefined ? {} : { username: user }),
      },
      location: { table, ...(schema === undefined ? {} : { schema }) },
      settings,
      format: { type: 'Table' },
    };
    const context = { ...this.context, ...(callLimitMs === undefined ? {} : { callLimitMs }) };
    const job = { jobId, attemptId: attemptIdOf(attempt) };
    const sink = openTableSink(end, job, context, blockerPatienceMs === undefined ? {} : { blockerPatienceMs });
    this.#owner.after(() => sink.close());
    return sink;
  }
}

/** 32 hex digits from a short name. */
export function attemptIdOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}

export function column(name: string, nativeType: string = 'text', nullable: boolean = true): TableColumn {
  return { name, type: 'String', nativeType, nullable };
}

/** A plan whose only target has so many chunks, each a stream of its own. */
export function planOf(options: { chunks: number; jobId?: string; path?: string; columns?: readonly TableColumn[]; base?: string }): Plan {
  const { chunks, jobId = 'job-1', path = 'public.t', columns = [column('id', 'integer'), column('v')], base = 'absent' } = options;
  const sources = Array.from({ length: chunks }, (_, index) => ({ path: 'source', sizeBytes: 100, identity: String(index) }));
  const target: PlanTarget = { target: 0, path, base, sources, cutting: { kind: 'streams' }, columns };
  return {
    formatVersion: 1, jobId, generation: 1, activityDigest: 'digest', sourceKind: 'addressable', representation: 'rows', partBytes: 64,
    targets: [target],
  };
}

/** Text of rows as the sink takes it; values must not need escaping. */
export function rowsText(rows: readonly (readonly (string | number)[])[]): Uint8Array {
  return Buffer.from(rows.map((row) => `${row.join('\t')}\n`).join(''));
}

export function factsOf(bytes: Uint8Array, rows: number, sourceStart: number = 0): ChunkFacts {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return { bytes: bytes.length, rows, hash, sourceStart, sourceEnd: sourceStart + bytes.length };
}

/** Writes one chunk in parts of the plan's size. */
export async function writeChunk(
  sink: Sink, plan: Plan, ref: ChunkRef, rows: readonly (readonly (string | number)[])[], signal: AbortSignal = never,
): Promise<'marked' | 'already'> {
  const bytes = rowsText(rows);
  const writer = await sink.openChunk(plan, ref, signal);
  try {
    let part = 0;
    let at = 0;
    for (; bytes.length - at > plan.partBytes; at += plan.partBytes) {
      const copy = Uint8Array.from(bytes.subarray(at, at + plan.partBytes));
      await writer.writePart(part++, copy, signal);
      // They belong to the caller again.
      copy.fill(0x78);
    }
    return await writer.mark(factsOf(bytes, rows.length), { part, bytes: Uint8Array.from(bytes.subarray(at)) }, signal);
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

export async function allMarks(sink: Sink, plan: Plan): Promise<Mark[]> {
  const marks: Mark[] = [];
  for (const target of plan.targets) marks.push(...(await sink.marks(plan, target, never)));
  return marks;
}

export function receiptOf(attempt: string, jobId: string = 'job-1'): Receipt {
  return {
    formatVersion: 1, jobId, generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk', filesRead: 0,
    filesWritten: 0, bytesRead: 1, bytesWritten: 1, rowsRead: 1, rowsWritten: 1, rowsSkipped: 0, chunks: 1, hash: '0'.repeat(16),
    attempts: [attemptIdOf(attempt)], finishedBy: { attemptId: attemptIdOf(attempt), nodeName: 'node', epoch: '1-x' },
    finishedAt: '2024-01-01T00:00:00.000Z',
  };
}
