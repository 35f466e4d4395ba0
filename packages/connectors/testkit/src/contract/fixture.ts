import type { Connector, ConnectorContext, SideFiles, Sink, Source } from '@dmg/connector-api';
import type { CopyEnd, JsonObject } from '@dmg/model';

/** An end that `check` must refuse, and how. */
export interface BadEnd {
  readonly name: string;
  readonly end: CopyEnd;
  readonly context: ConnectorContext;
  /** Code of the error. */
  readonly code: string;
}

/** One empty store, and a stranger's way to it that shares nothing with the connector. */
export interface ConnectorFixture {
  readonly connector: Connector;
  readonly context: ConnectorContext;
  /** The source: properties of the location and of the store settings. */
  sourceEnd(location?: JsonObject, settings?: JsonObject): CopyEnd;
  sinkEnd(location?: JsonObject): CopyEnd;
  /** Size of parts for the tests' plans, in bytes. */
  readonly partBytes: number;
  /** True where a folder is a thing of its own that can stand in a target's way. */
  readonly hasFolders: boolean;
  readonly badEnds: readonly BadEnd[];
  /** Texts that no error may contain. */
  readonly secrets: readonly string[];
  /** Writes an object; a repeated write of the same path is a change that the store can tell. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  get(path: string): Promise<Uint8Array | undefined>;
  /** Takes an object away; its content, or undefined when there was none. */
  take(path: string): Promise<Uint8Array | undefined>;
  /** Paths of all objects that a user sees, without our work files. */
  paths(): Promise<string[]>;
  /** Bytes of data that a job has staged and that nobody sees. */
  stagedBytes(jobId: string, targets: readonly string[]): Promise<number>;
  /** Files, sockets … that the connector holds open in this store. */
  openHandles(): Promise<number>;
  close(): Promise<void>;
}

export type MakeFixture = () => Promise<ConnectorFixture>;

/** What a check works with: the fixture, and sources and sinks that are closed when it is over. */
export class Bench {
  readonly fixture: ConnectorFixture;
  readonly signal: AbortSignal = new AbortController().signal;
  readonly #opened: (Source | Sink | SideFiles)[] = [];

  constructor(fixture: ConnectorFixture) {
    this.fixture = fixture;
  }

  async source(location?: JsonObject, settings?: JsonObject): Promise<Source> {
    const source = await this.fixture.connector.openSource(this.fixture.sourceEnd(location, settings), this.fixture.context);
    this.#opened.push(source);
    return source;
  }

  /** A sink as one attempt of `jobId` opens it. `attempt` is a short name. */
  async sink(attempt: string, jobId: string = 'job-1', location?: JsonObject): Promise<Sink> {
    const job = { jobId, attemptId: attemptIdOf(attempt) };
    const sink = await this.fixture.connector.openSink(this.fixture.sinkEnd(location), job, this.fixture.context);
    this.#opened.push(sink);
    return sink;
  }

  /** Side files as one attempt of `jobId` opens them; undefined where the store has none. */
  async sideFiles(attempt: string, location?: JsonObject, jobId: string = 'job-1'): Promise<SideFiles | undefined> {
    const job = { jobId, attemptId: attemptIdOf(attempt) };
    const files = await this.fixture.connector.openSideFiles?.(this.fixture.sinkEnd(location), job, this.fixture.context);
    if (files !== undefined) this.#opened.push(files);
    return files;
  }

  async close(): Promise<void> {
    for (const opened of this.#opened.splice(0)) await opened.close();
  }
}

/** 32 hex digits from a short name. */
export function attemptIdOf(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32);
}

export interface ContractCheck {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}
