import type { ChunkWriter, Connector, Sink, SinkJob, Source } from '@dmg/connector-api';
import type { CopyEnd } from '@dmg/model';

/** A connector whose sinks are the original's but for what `change` gives. */
export function withSink(connector: Connector, change: (sink: Sink, job: SinkJob, end: CopyEnd) => Partial<Sink>): Connector {
  return {
    ...delegated(connector),
    async openSink(end, job, context) {
      const sink = await connector.openSink(end, job, context);
      return {
        limits: sink.limits,
        atomicPublish: sink.atomicPublish,
        state: (signal) => sink.state(signal),
        bases: (paths, signal) => sink.bases(paths, signal),
        insertPlan: (plan, signal) => sink.insertPlan(plan, signal),
        marks: (plan, target, signal) => sink.marks(plan, target, signal),
        openChunk: (plan, ref, signal) => sink.openChunk(plan, ref, signal),
        finish: (plan, receipt, signal) => sink.finish(plan, receipt, signal),
        abort: (signal) => sink.abort(signal),
        close: () => sink.close(),
        ...change(sink, job, end),
      };
    },
  };
}

export function withSource(connector: Connector, change: (source: Source, end: CopyEnd) => Partial<Source>): Connector {
  return {
    ...delegated(connector),
    async openSource(end, context) {
      const source = await connector.openSource(end, context);
      return {
        kind: source.kind,
        list: (signal) => source.list(signal),
        read: (object, position, into, signal) => source.read(object, position, into, signal),
        close: () => source.close(),
        ...change(source, end),
      };
    },
  };
}

export function withWriter(
  connector: Connector, change: (writer: ChunkWriter, name: string, job: SinkJob) => Partial<ChunkWriter>,
): Connector {
  return withSink(connector, (sink, job) => ({
    async openChunk(plan, ref, signal) {
      const writer = await sink.openChunk(plan, ref, signal);
      return {
        writePart: (part, bytes, caller) => writer.writePart(part, bytes, caller),
        mark: (facts, last, caller) => writer.mark(facts, last, caller),
        discard: () => writer.discard(),
        ...change(writer, `${ref.target}.${ref.chunk}`, job),
      };
    },
  }));
}

export function delegated(connector: Connector): Connector {
  return {
    spec: connector.spec,
    check: (end, context) => connector.check(end, context),
    openSource: (end, context) => connector.openSource(end, context),
    openSink: (end, job, context) => connector.openSink(end, job, context),
  };
}
