import type { DataFormat, Translator } from './formats.ts';
import type { JsonObject } from './json.ts';
import type { FileSkipReason } from './plan.ts';

/** Where a job comes from, as the user sees it. */
export interface JobOrigin {
  readonly factoryName: string;
  readonly pipelineName: string;
  /** The pipeline run's id. */
  readonly runId: string;
  readonly activityName: string;
  readonly activityRunId: string;
}

export interface JobPolicy {
  /** Limit of one try, in milliseconds of running time. */
  readonly timeoutMs: number;
  /** Further tries after the first; counted by the control plane. */
  readonly retry: number;
  readonly retryIntervalMs: number;
}

/** One activity run handed to the gateway; self-contained. It travels as the payload of a JWS signed by the control plane. */
export interface Job {
  readonly formatVersion: 1;
  readonly jobId: string;
  readonly gatewayId: string;
  readonly origin: JobOrigin;
  readonly policy: JobPolicy;
  /** From 1. A growing number with the same jobId is a new try of the same job under the same plan. */
  readonly tryNumber: number;
  /** True when a failure of this try ends the job, so that the sink must be closed before it is reported. */
  readonly finalTry: boolean;
  readonly activity: CopyActivity;
}

export interface CopyActivity {
  readonly type: 'Copy';
  readonly source: CopyEnd;
  readonly sink: CopyEnd;
  readonly translator?: Translator;
  /** Columns that stand behind those of the source, in this order. */
  readonly additionalColumns?: readonly AdditionalColumn[];
  /** 0: the engine chooses. */
  readonly parallelCopies: number;
  readonly validateDataConsistency: boolean;
  /** True: rows that cannot be read, converted or written are left out and counted. Else the first one fails the copy. */
  readonly skipIncompatibleRows?: boolean;
  /** Files that are left out and counted instead of failing the copy, by what was wrong with them. Absent: none. */
  readonly skipFiles?: readonly FileSkipReason[];
  /** Where skipped rows and the session log go. Absent: nowhere. */
  readonly log?: CopyLog;
}

/** A column that the source itself does not have. */
export interface AdditionalColumn {
  readonly name: string;
  readonly value: AdditionalValue;
}

/** The same text in every row, the path of the file relative to the source folder, or a column of the source once more. */
export type AdditionalValue =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'filePath' }
  | { readonly kind: 'column'; readonly column: string };

/** Files that a copy writes about itself, beside its target. */
export interface CopyLog {
  /** A store of files; its location names the folder. */
  readonly store: CopyEnd;
  /**
   * `rows`: the rows that were skipped, each with the reason (`redirectIncompatibleRowSettings`). `session`: what was read, written and
   * skipped (`logSettings`).
   */
  readonly form: 'rows' | 'session';
  /** For `session`. `Warning`: only what was skipped. */
  readonly level: 'Info' | 'Warning';
}

/** One side of a copy, in terms of its connector's spec. Secret properties hold `EncryptedSecret`. */
export interface CopyEnd {
  /** `ConnectorSpec.name`. */
  readonly connector: string;
  /** Properties of the linked service. */
  readonly connection: JsonObject;
  /** Properties of the dataset's location. */
  readonly location: JsonObject;
  /** Properties of the store settings. */
  readonly settings: JsonObject;
  readonly format: DataFormat;
}

/** A secret as it travels: a compact JWE to the gateway's credential key. */
export interface EncryptedSecret {
  readonly encryptedCredential: string;
}

export function isEncryptedSecret(value: unknown): value is EncryptedSecret {
  return typeof value === 'object' && value !== null && typeof (value as EncryptedSecret).encryptedCredential === 'string';
}
