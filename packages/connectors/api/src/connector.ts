import type { Clock, Logger, Random } from '@dmg/base';
import type { SideFiles } from './side-files.ts';
import type {
  ChunkRef, ConnectorSpec, Consistency, CopyEnd, DelimitedTextFormat, Mark, Phase, Plan, PlanTarget, Receipt, SourceKind, SourceObject,
  TableColumn,
} from '@dmg/model';

/** A store's way in and out. Small on purpose: retry, back-pressure, counting and progress are the engine's. */
export interface Connector {
  readonly spec: ConnectorSpec;
  /** Tries to reach the store with this connection; throws a DmgError that says what is wrong and what to do. */
  check(end: CopyEnd, context: ConnectorContext): Promise<void>;
  openSource(end: CopyEnd, context: ConnectorContext): Promise<Source>;
  /** Opens a source whose format is `Table`. Absent where the store has no tables. */
  openTableSource?(end: CopyEnd, context: ConnectorContext): Promise<TableSource>;
  openSink(end: CopyEnd, job: SinkJob, context: ConnectorContext): Promise<Sink>;
  /** Opens the folder of `end` for files that a copy writes about itself. Absent where the store has no files. */
  openSideFiles?(end: CopyEnd, job: SinkJob, context: ConnectorContext): Promise<SideFiles>;
}

export interface ConnectorContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Secrets of `CopyEnd.connection` in clear, by property name; `connection` itself holds only ciphertext. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Time limit of a single call to the store. */
  readonly callLimitMs: number;
}

/** Who writes. `attemptId` is 32 hex digits. */
export interface SinkJob {
  readonly jobId: string;
  readonly attemptId: string;
}

/** A store of byte-addressable objects (files, blobs). */
export interface Source {
  readonly kind: SourceKind;
  /**
   * Everything that the location and settings select, in order of path. Our own work files (`.dmg…`) are never listed. A named
   * file that does not exist is an error; a wildcard that matches nothing is an empty list.
   */
  list(signal: AbortSignal): AsyncIterable<SourceObject>;
  /**
   * Fills `into` from `position` on and returns how many bytes it read: fewer than `into.length` only at the end of the object.
   * Calls may run in parallel. Throws `SOURCE_CHANGED` when the object is not the one that `object.identity` pins, or is gone.
   */
  read(object: SourceObject, position: number, into: Uint8Array, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/**
 * A table or query of a database, read as streams of delimited text, one a partition. The text is the server's own, or as near to it
 * as can be: no value passes through JavaScript.
 */
export interface TableSource {
  /** Columns of the rows, in order. */
  columns(signal: AbortSignal): Promise<readonly TableColumn[]>;
  /**
   * Makes the partitions of a plan: all rows of one moment where `consistency` says so, each in exactly one partition. The target
   * takes at most `partitionsMax` of them.
   */
  partition(signal: AbortSignal, wish?: PartitionWish): Promise<TablePartitions>;
  /** Absent where a snapshot cannot outlive the source that made it. */
  readonly snapshots?: SharedSnapshots;
  /** True when the server can write its rows in this format, so that nothing needs to be transcoded. Header and encoding aside. */
  writes(format: DelimitedTextFormat): boolean;
  /** Format of the text when the wanted one cannot be written. Without header. */
  readonly text: DelimitedTextFormat;
  readonly ownForm?: OwnForm;
  /**
   * Reads one partition, of this plan's or an earlier attempt's making, without header. Throws `SOURCE_CHANGED` when the columns are
   * not those of the plan any more.
   */
  open(partition: SourceObject, format: StreamFormat, signal: AbortSignal): Promise<TextStream>;
  /**
   * As `open`, with some of the columns only, in this order: indexes (from 0) in `columns`. Absent where the source cannot choose;
   * the engine then reads all of them and leaves out what is not wanted.
   */
  openColumns?(
    partition: SourceObject, format: StreamFormat, columns: readonly number[], signal: AbortSignal,
  ): Promise<TextStream>;
  close(): Promise<void>;
}

/** How rows are written: as text, or in the own form of the server (see `OwnForm`). */
export type StreamFormat = DelimitedTextFormat | 'own';

/**
 * A form of rows that only servers of one kind write and read, faster than text. Streams of it are passed on as they are, since nobody
 * between the servers can look into them.
 */
export interface OwnForm {
  /** Equal at both ends where they mean the same form. */
  readonly name: string;
  /** What the values of a column are in this form: a column takes those of another exactly if both are equal. Undefined: it has none. */
  typeOf(column: TableColumn): string | undefined;
}

export interface PartitionWish {
  readonly partitionsMax: number;
  /** Partitions may be `snapshotBound`: the copy begins anew when its snapshot is lost, or wants to fail then. Default false. */
  readonly snapshotBound?: boolean;
}

/** Snapshots that several sessions hold, on several nodes: each lives as long as one of them. */
export interface SharedSnapshots {
  /**
   * Finds a session that holds the snapshot `key`, of whatever attempt, and holds it too: everything is read under it from now on.
   * True at once while this source holds it. False: nobody holds it any more, or nobody can be reached from here.
   */
  join(key: string, signal: AbortSignal): Promise<boolean>;
  /** Lets go of the snapshot: each partition is read at a moment of its own from now on. Never throws. */
  leave(): Promise<void>;
}

export interface TablePartitions {
  /**
   * `addressable`: ranges of a unique key, which a later attempt may read again. `onePass`: a single partition, which is one chunk.
   * `snapshotBound`: partitions that mean something under this snapshot only; reading one without it throws `SNAPSHOT_LOST`.
   */
  readonly kind: SourceKind;
  /** `snapshot`: everything that this source reads from now on is of one moment. */
  readonly consistency: Consistency;
  /** With `snapshots`: random name of the snapshot, by which others can join it. */
  readonly snapshotKey?: string;
  /**
   * `path` names the table (the same for all, for people and for the target's name), `identity` holds the address of the partition and
   * a digest of the columns, `sizeBytes` is an estimate of the text.
   */
  readonly partitions: readonly SourceObject[];
}

/** Text of one partition, in order. Whole rows are not kept together. */
export interface TextStream {
  /** The next bytes; undefined at the end. They may be reused with the next call. */
  next(signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Rows of the whole stream, as the server counted them. Known once `next` gave undefined. */
  readonly rows: number;
  /** Ends the reading, also in its middle. Never throws. */
  close(): Promise<void>;
}

/** What a table sink takes: chunks are rows in this format, without header. */
export interface TableIntake {
  readonly text: DelimitedTextFormat;
  readonly ownForm?: OwnForm;
  /**
   * The sink's table as its connector spells tables, the path of every target: two ends of one connection name the same table exactly
   * if this and `SourceObject.path` are equal. Default: what the location says, parts between double quotes where they need it.
   */
  readonly path?: string;
  /** Columns of the table `path`, in its order, without those that cannot be written; undefined when there is no such table. */
  columns(path: string, signal: AbortSignal): Promise<readonly TableColumn[] | undefined>;
}

export interface SinkLimits {
  /** Best size of a part, in bytes. */
  readonly partBytes: number;
  readonly partBytesMax: number;
  /** Parts that one target may have. */
  readonly partsPerTargetMax: number;
  /** Chunks that one target may have. */
  readonly chunksPerTargetMax: number;
  /** Parts that may be under way at once. */
  readonly parallelParts: number;
  /** True: the parts of a chunk are handed over one after the other, in order (a stream into a transaction). Default false. */
  readonly partsInOrder?: boolean;
  /** Chunks that may be open at once. Default: as many as the engine likes. */
  readonly parallelChunks?: number;
}

/** What of a job stands at the sink. */
export interface SinkState {
  readonly phase: Phase;
  readonly plan: Plan | undefined;
  /** Present when the phase is done. */
  readonly receipt: Receipt | undefined;
}

/**
 * Plan, marks and phase of one job at one store (DESIGN §7). All methods may be called again after an unknown outcome, by any
 * attempt, at any time; whoever comes second finds what stands.
 */
export interface Sink {
  readonly limits: SinkLimits;
  /** `yes`: the guarantee is exactly once. */
  readonly atomicPublish: 'yes' | 'renameOnly' | 'none';
  /** Present where targets are tables; every target of a plan then has `columns`. */
  readonly table?: TableIntake;
  state(signal: AbortSignal): Promise<SinkState>;
  /**
   * The base state of each target, in order, for the plan: `absent`, or what identifies the one that stands there now. Refuses
   * what could not be published later (a folder in the way, foreign blocks) now, with the remedy.
   */
  bases(paths: readonly string[], signal: AbortSignal): Promise<string[]>;
  /**
   * Inserts the plan if none stands; returns the plan that stands. Every target has at least one chunk: an empty file has an empty
   * one. Throws `JOB_CLOSED` when the phase is done or aborted.
   */
  insertPlan(plan: Plan, signal: AbortSignal): Promise<Plan>;
  /**
   * Discards what the generation before `plan.generation` wrote and makes `plan` the one that stands, unless a later one stands or the
   * job is closed; returns the plan that stands. Afterwards no attempt can change anything under the earlier plan: it finds
   * `JOB_CLOSED`. Absent where the sink cannot discard.
   */
  beginGeneration?(plan: Plan, signal: AbortSignal): Promise<Plan>;
  /**
   * `always`: `beginGeneration` discards whatever was written. `unmarked`: only what has no mark yet; once a chunk is marked, the plan
   * that stands is returned. Default: `always`.
   */
  readonly beginsAnew?: 'always' | 'unmarked';
  /**
   * Marks of one target of the plan that stands, in order of chunk (those that count: see `chooseMarks`). Read afresh from the
   * sink. Job done or aborted → `JOB_CLOSED`. Whether the target is complete says `missingChunks`.
   */
  marks(plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<Mark[]>;
  /** `form`: `own` where the rows of a table come in its own form; text, or a file's bytes, where it is left out. */
  openChunk(plan: Plan, ref: ChunkRef, signal: AbortSignal, form?: 'own'): Promise<ChunkWriter>;
  /**
   * Opens what `finish` is going to publish as this target, all of whose chunks are marked, to be read again as it lies at the sink, not
   * by the connection that wrote it. Undefined: publishing has begun or the job has ended, which `finish` tells. Absent where nothing
   * can be read before it is published.
   */
  openStaged?(plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<StagedTarget | undefined>;
  /**
   * Publishes every target, but those that are skipped (`isSkippedFile`), and sets the phase `done` with the receipt; returns the receipt
   * that stands. Marks missing → `MARKS_MISSING` (the engine copies them and calls again). Phase aborted → `JOB_CLOSED`. Target changed by
   * a stranger since the plan was made → `TARGET_CHANGED`. A target that was published and then taken away by a consumer is not published
   * again.
   */
  finish(plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt>;
  /**
   * Sets the phase `aborted`, also when no plan stands, and removes what was staged. Afterwards no attempt can change anything at
   * the sink for this job, and nothing of it was published. When the job is already done, changes nothing and says so; when a finish
   * has begun to publish, completes that and says `done`. (Only where it cannot be completed, because a stranger changed a target
   * say, is the job aborted with some of its targets published.) Safe to repeat.
   */
  abort(signal: AbortSignal): Promise<SinkState>;
  close(): Promise<void>;
}

/** A target that waits to be published. */
export interface StagedTarget {
  /** Fills `into` from `position` on and returns how many bytes it read: fewer only at the end. */
  read(position: number, into: Uint8Array, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/** What the engine knows of a chunk when it is complete. */
export type ChunkFacts = Pick<Mark, 'bytes' | 'rows' | 'rowsSkipped' | 'fileSkipped' | 'hash' | 'sourceStart' | 'sourceEnd'>;

/** One chunk being written by one attempt. Nothing of it counts before `mark` has resolved. */
export interface ChunkWriter {
  /**
   * Hands over part `part` (from 0). Every part but the last of a chunk has exactly `plan.partBytes` bytes. `bytes` may be reused
   * once the promise resolves. Calls may run in parallel and in any order.
   */
  writePart(part: number, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /**
   * Hands over the last part (of at most `plan.partBytes` bytes; empty only for an empty chunk's part 0 or after whole parts) and
   * marks the chunk, in one durable step; earlier `writePart`s must have resolved. Once for each writer: who does not know the
   * outcome opens the chunk again. `already`: another
   * attempt was first, and its bytes are the ones that count.
   */
  mark(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }, signal: AbortSignal): Promise<'marked' | 'already'>;
  /**
   * Gives the chunk up; what was written is removed now or by `abort`. Never throws. After a `mark` that failed or was given up at its
   * deadline nothing may be removed here: that mark may still become durable, and then its bytes are the ones that count.
   */
  discard(): Promise<void>;
}

