import type { InterimType } from './formats.ts';

/** What one file or blob is, so that a changed one is recognised. */
export interface SourceObject {
  /** Relative to the copy's source folder, `/` between parts. Never `..`. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Pins the content: an ETag, or size, modification time (ns) and inode. Opaque to all but its connector. */
  readonly identity: string;
  readonly lastModifiedMs?: number;
}

/**
 * The immutable list of what each chunk is, kept at the sink and inserted there before the first byte moves (DESIGN-RULES 1).
 * Whoever loses the insert uses the winner's plan. A different plan is the next generation.
 */
export interface Plan {
  readonly formatVersion: 1;
  readonly jobId: string;
  /** From 1. */
  readonly generation: number;
  /** Digest of the job's activity: the same job with another definition is refused, not resumed. */
  readonly activityDigest: string;
  readonly sourceKind: SourceKind;
  readonly representation: Representation;
  /** Size of the parts in which chunks are handed to the sink. */
  readonly partBytes: number;
  /**
   * Table sources: random name of the snapshot that the plan was made under. An attempt that finds a living holder of it reads under the
   * same snapshot, and its marks say so (`Mark.sourceStart`).
   */
  readonly snapshotKey?: string;
  readonly targets: readonly PlanTarget[];
}

/** What a new attempt may do with unmarked chunks (DESIGN-RULES 2). */
export type SourceKind = 'addressable' | 'snapshotBound' | 'onePass';
/** What source and sink exchange: bytes as they are, or rows decoded and encoded in place. */
export type Representation = 'bytes' | 'rows';

/** One file or blob to be made. */
export interface PlanTarget {
  /** Index in `Plan.targets`. */
  readonly target: number;
  /** Relative to the copy's sink folder. */
  readonly path: string;
  /** State of the target when the plan was made, in the sink's terms: `absent`, an ETag … Publishing is conditional on it. */
  readonly base: string;
  readonly sources: readonly SourceObject[];
  readonly cutting: Cutting;
  /** Where the target is a table: its columns in the order in which the text carries them. */
  readonly columns?: readonly TableColumn[];
}

/** A column of a table, of either end. */
export interface TableColumn {
  /** As the store spells it. */
  readonly name: string;
  /** What it becomes on its way to another kind of store. */
  readonly type: InterimType;
  /** The store's own type with its modifiers, e.g. `numeric(15,2)`; absent where the source has none (text files). */
  readonly nativeType?: string;
  readonly nullable: boolean;
  /** Of a sink: the store numbers its rows by itself, so it is written only where it is meant by name. Absent: no. */
  readonly numbered?: boolean;
}

/**
 * `ranges`: every chunk is known beforehand. `sequential`: row boundaries show only while parsing, so chunk k + 1 starts where
 * the mark of chunk k says it ended, and a chunk ends at the first row boundary after `chunkBytes` of the source. `streams`: chunk k
 * is all of source k, a stream that can only be read from its beginning to its end; its mark says how long it was.
 *
 * `extentBytes`: sources whose length shows only when they have been read to their end, because they are compressed. Positions count
 * what they hold; each source has this many of them, and the chunk in which it ends, ends at the end of its extent.
 */
export type Cutting =
  | { readonly kind: 'ranges'; readonly chunks: readonly ChunkRange[] }
  | { readonly kind: 'sequential'; readonly chunkBytes: number; readonly extentBytes?: number }
  | { readonly kind: 'streams' };

export interface ChunkRange {
  /** From 0 within the target; chunks stand in the target in this order. */
  readonly chunk: number;
  /** Index in `PlanTarget.sources`. */
  readonly source: number;
  readonly startByte: number;
  /** Exclusive. */
  readonly endByte: number;
}

export interface ChunkRef {
  readonly target: number;
  readonly chunk: number;
}

/** Why a file was left out: it was gone, could not be read for want of permissions, or was another one than that of the plan. */
export type FileSkipReason = 'missing' | 'forbidden' | 'changed';

/** The sink's durable note that a chunk is in. The first writer wins. */
export interface Mark extends ChunkRef {
  readonly attemptId: string;
  readonly bytes: number;
  /** 0 where ranges of bytes are copied, which nobody counts rows in. */
  readonly rows: number;
  /** Rows of the source that were left out because they could not be read, converted or written. Absent: none. */
  readonly rowsSkipped?: number;
  /**
   * The chunk's file was left out, and this is why: it is read no more, whatever its other marks say, and nothing of it is published. Such
   * a mark stands for no bytes and, under `sequential` cutting, reaches to the end of the sources.
   */
  readonly fileSkipped?: FileSkipReason;
  /** 16 hex digits; what it is depends on the representation. */
  readonly hash: string;
  /**
   * Position in the source where the chunk starts and ends. A stream (`Cutting`) starts at 1 where it was read under the snapshot
   * `Plan.snapshotKey`, at 0 where it is of a moment of its own; its length is the difference.
   */
  readonly sourceStart: number;
  readonly sourceEnd: number;
}

/** At the sink: open, then done or aborted, once. `none`: nothing of this job is there. */
export type Phase = 'none' | 'open' | 'done' | 'aborted';
