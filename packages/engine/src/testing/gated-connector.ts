import type { ChunkWriter, Connector, Sink, Source, TableIntake, TableSource, TextStream } from '@dmg/connector-api';

/** Runs a call of a store: may delay it, drop it, or lose its answer. `work` is the call itself and is run at most once. */
export type Gate = <T>(call: string, work: () => Promise<T>) => Promise<T>;

/** A connector all of whose calls, also those of what it opens, pass a gate: what a test does to them, no store has to know. */
export function gatedConnector(connector: Connector, gate: Gate): Connector {
  const { openTableSource } = connector;
  return {
    spec: connector.spec,
    ...(openTableSource === undefined ? {} : {
      openTableSource: async (end, context) =>
        gatedTable(await gate('openSource', () => openTableSource.call(connector, end, context)), gate),
    }),
    check: (end, context) => gate('check', () => connector.check(end, context)),
    openSource: async (end, context) => gatedSource(await gate('openSource', () => connector.openSource(end, context)), gate),
    openSink: async (end, job, context) => gatedSink(await gate('openSink', () => connector.openSink(end, job, context)), gate),
  };
}

function gatedSource(source: Source, gate: Gate): Source {
  return {
    kind: source.kind,
    list: (signal) => ({
      [Symbol.asyncIterator]() {
        const iterator = source.list(signal)[Symbol.asyncIterator]();
        return { next: () => gate('list', () => iterator.next()) };
      },
    }),
    read: (object, position, into, signal) => gate('read', () => source.read(object, position, into, signal)),
    close: () => source.close(),
  };
}

function gatedTable(table: TableSource, gate: Gate): TableSource {
  const { openColumns, snapshots, ownForm } = table;
  return {
    text: table.text,
    columns: (signal) => gate('columns', () => table.columns(signal)),
    partition: (signal, wish) => gate('partition', () => table.partition(signal, wish)),
    writes: (format) => table.writes(format),
    ...(ownForm === undefined ? {} : { ownForm }),
    ...(snapshots === undefined ? {} : {
      snapshots: { join: (key, signal) => gate('join', () => snapshots.join(key, signal)), leave: () => snapshots.leave() },
    }),
    open: async (partition, format, signal) => gatedStream(await gate('open', () => table.open(partition, format, signal)), gate),
    ...(openColumns === undefined ? {} : {
      openColumns: async (partition, format, columns, signal) =>
        gatedStream(await gate('open', () => openColumns.call(table, partition, format, columns, signal)), gate),
    }),
    close: () => table.close(),
  };
}

function gatedStream(stream: TextStream, gate: Gate): TextStream {
  return {
    next: (signal) => gate('next', () => stream.next(signal)),
    get rows() {
      return stream.rows;
    },
    close: () => stream.close(),
  };
}

function gatedIntake(intake: TableIntake, gate: Gate): TableIntake {
  return {
    text: intake.text,
    ...(intake.ownForm === undefined ? {} : { ownForm: intake.ownForm }),
    ...(intake.path === undefined ? {} : { path: intake.path }),
    columns: (path, signal) => gate('columns', () => intake.columns(path, signal)),
  };
}

function gatedSink(sink: Sink, gate: Gate): Sink {
  const { beginGeneration } = sink;
  return {
    limits: sink.limits,
    atomicPublish: sink.atomicPublish,
    ...(sink.beginsAnew === undefined ? {} : { beginsAnew: sink.beginsAnew }),
    ...(sink.table === undefined ? {} : { table: gatedIntake(sink.table, gate) }),
    state: (signal) => gate('state', () => sink.state(signal)),
    bases: (paths, signal) => gate('bases', () => sink.bases(paths, signal)),
    insertPlan: (plan, signal) => gate('insertPlan', () => sink.insertPlan(plan, signal)),
    ...(beginGeneration === undefined ? {} : {
      beginGeneration: (plan, signal) => gate('beginGeneration', () => beginGeneration.call(sink, plan, signal)),
    }),
    marks: (plan, target, signal) => gate('marks', () => sink.marks(plan, target, signal)),
    openChunk: async (plan, ref, signal, form) => gatedWriter(await gate('openChunk', () => sink.openChunk(plan, ref, signal, form)), gate),
    finish: (plan, receipt, signal) => gate('finish', () => sink.finish(plan, receipt, signal)),
    abort: (signal) => gate('abort', () => sink.abort(signal)),
    close: () => sink.close(),
  };
}

function gatedWriter(writer: ChunkWriter, gate: Gate): ChunkWriter {
  return {
    writePart: (part, bytes, signal) => gate('writePart', () => writer.writePart(part, bytes, signal)),
    mark: (facts, last, signal) => gate('mark', () => writer.mark(facts, last, signal)),
    discard: () => writer.discard(),
  };
}

/**
 * A gate after which nothing works any more: from the call number `at` (from 1) on every call fails. That call itself is lost on
 * its way there (`before`), or takes effect and loses its answer (`after`).
 */
export function crashingGate(at: number, mode: 'before' | 'after', error: () => Error): { gate: Gate; calls: () => number } {
  let calls = 0;
  const gate: Gate = async (_call, work) => {
    const number = ++calls;
    if (number > at || (number === at && mode === 'before')) throw error();
    const result = await work();
    if (number === at) throw error();
    return result;
  };
  return { gate, calls: () => calls };
}

/** Lets one waiting call go on at a time, chosen by `unit`, so that a seed gives an interleaving. */
export class StepScheduler {
  readonly #unit: () => number;
  #waiting: (() => void)[] = [];

  constructor(unit: () => number) {
    this.#unit = unit;
  }

  /** A gate that waits for its turn before the call and again before its answer. */
  readonly gate: Gate = async (_call, work) => {
    await this.#turn();
    const result = await work();
    await this.#turn();
    return result;
  };

  /** Runs until `done` is settled. */
  async drive(done: Promise<unknown>): Promise<void> {
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    done.then(end, end);
    while (!ended) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      const index = Math.floor(this.#unit() * this.#waiting.length);
      this.#waiting.splice(index, 1)[0]?.();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
