import { hasCode, isDmgError } from '@dmg/base';
import { type Connector, connectorErrors, joinPath } from '@dmg/connector-api';
import type { Plan, Receipt } from '@dmg/model';
import type { MemoryStore } from '../memory-store.ts';
import { delegated, withSink, withSource, withWriter } from './wrapped.ts';

type Breaks = (connector: Connector, store: MemoryStore) => Connector;

/** Puts what is marked at the targets, whatever stands there. */
function publishAnyway(store: MemoryStore, jobId: string, plan: Plan): void {
  for (const target of plan.targets) {
    const marked = [...store.job(jobId).marks.values()].filter(({ mark }) => mark.target === target.target);
    const parts = marked.toSorted((a, b) => a.mark.chunk - b.mark.chunk);
    store.put(target.path, Buffer.concat(parts.map(({ bytes }) => bytes)));
  }
}

/** Connectors that are wrong on purpose, each in one way that has cost somebody data. The contract must fail on every one. */
export const brokenConnectors: Readonly<Record<string, Breaks>> = {
  'drops the last part of a chunk': (connector) =>
    withWriter(connector, (writer) => ({
      mark: (facts, last, signal) => writer.mark(facts, last.part === 0 ? last : { part: last.part, bytes: new Uint8Array() }, signal),
    })),
  'marks a chunk before its data are there': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async openChunk(plan, ref, signal) {
        const writer = await sink.openChunk(plan, ref, signal);
        const mark = { ...ref, attemptId: job.attemptId, bytes: 0, rows: 0, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: 0 };
        const marks = store.job(job.jobId).marks;
        if (!marks.has(`${ref.target}.${ref.chunk}`)) marks.set(`${ref.target}.${ref.chunk}`, { mark, bytes: new Uint8Array() });
        return writer;
      },
    })),
  'publishes again what a consumer took away': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async finish(plan, receipt, signal) {
        const standing = await sink.finish(plan, receipt, signal);
        if (plan.targets.some(({ path }) => !store.objects.has(path))) publishAnyway(store, job.jobId, plan);
        return standing;
      },
    })),
  'forgets which targets it has published when it is interrupted': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async finish(plan, receipt, signal) {
        if (store.job(job.jobId).phase === 'open') store.job(job.jobId).publishedTargets.clear();
        return sink.finish(plan, receipt, signal);
      },
    })),
  'ignores abort': (connector) =>
    withSink(connector, () => ({ abort: () => Promise.resolve({ phase: 'aborted', plan: undefined, receipt: undefined }) })),
  'cuts a publication in two when it is aborted': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async abort(signal) {
        if (store.job(job.jobId).phase === 'open') store.job(job.jobId).intent = undefined;
        return sink.abort(signal);
      },
    })),
  'leaves staged data after an abort': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async abort(signal) {
        const marks = [...store.job(job.jobId).marks];
        const state = await sink.abort(signal);
        if (state.phase === 'aborted') for (const [name, entry] of marks) store.job(job.jobId).marks.set(name, entry);
        return state;
      },
    })),
  'lets a plan in after an abort': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async insertPlan(plan, signal) {
        const standing = store.job(job.jobId);
        if (standing.phase === 'aborted' && standing.plan === undefined) standing.phase = 'none';
        return sink.insertPlan(plan, signal);
      },
    })),
  'lets the second writer of a chunk win': (connector, store) =>
    withWriter(connector, (writer, name, job) => ({
      mark(facts, last, signal) {
        if (store.job(job.jobId).phase === 'open') store.job(job.jobId).marks.delete(name);
        return writer.mark(facts, last, signal);
      },
    })),
  'lets a second plan replace the first': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async insertPlan(plan, signal) {
        const standing = await sink.insertPlan(plan, signal);
        store.job(job.jobId).plan = plan;
        return standing === undefined ? standing : plan;
      },
    })),
  'trims white space at the end of a chunk': (connector) =>
    withWriter(connector, (writer) => ({
      mark(facts, last, signal) {
        let length = last.bytes.length;
        while (length > 0 && [0x0a, 0x0d, 0x20, 0x09].includes(last.bytes[length - 1] ?? 0)) length--;
        return writer.mark(facts, { part: last.part, bytes: last.bytes.subarray(0, length) }, signal);
      },
    })),
  'trims zeros at the end of a chunk': (connector) =>
    withWriter(connector, (writer) => ({
      mark(facts, last, signal) {
        let length = last.bytes.length;
        while (length > 0 && last.bytes[length - 1] === 0) length--;
        return writer.mark(facts, { part: last.part, bytes: last.bytes.subarray(0, length) }, signal);
      },
    })),
  'keeps the caller\'s buffer': (connector, store) =>
    withSink(connector, (sink, job) => {
      const kept = new Map<string, Uint8Array[]>();
      return {
        async openChunk(plan, ref, signal) {
          const writer = await sink.openChunk(plan, ref, signal);
          const parts: Uint8Array[] = [];
          kept.set(`${ref.target}.${ref.chunk}`, parts);
          return {
            writePart(part, bytes, caller) {
              parts[part] = bytes;
              return writer.writePart(part, bytes, caller);
            },
            mark(facts, last, caller) {
              parts[last.part] = last.bytes;
              return writer.mark(facts, last, caller);
            },
            discard: () => writer.discard(),
          };
        },
        finish(plan, receipt, signal) {
          for (const [name, parts] of kept) {
            const entry = store.job(job.jobId).marks.get(name);
            if (entry?.mark.attemptId !== job.attemptId) continue;
            store.job(job.jobId).marks.set(name, { mark: entry.mark, bytes: Buffer.concat(parts) });
          }
          return sink.finish(plan, receipt, signal);
        },
      };
    }),
  'ignores that a source was changed': (connector, store) =>
    withSource(connector, (source, end) => ({
      read(object, position, into, signal) {
        const path = joinPath(typeof end.location.folderPath === 'string' ? end.location.folderPath : '', object.path);
        return source.read({ ...object, identity: store.objects.get(path)?.etag ?? object.identity }, position, into, signal);
      },
    })),
  'reads from the start whatever the position': (connector) =>
    withSource(
      connector,
      (source) => ({ read: (object, position, into, signal) => source.read(object, position === 0 ? 0 : position - 1, into, signal) }),
    ),
  'lists sub-folders that were not asked for': (connector) => ({
    ...delegated(connector),
    openSource: (end, context) => connector.openSource({ ...end, settings: { ...end.settings, recursive: true } }, context),
  }),
  'finishes although marks are missing': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async finish(plan, receipt, signal) {
        try {
          return await sink.finish(plan, receipt, signal);
        } catch (error) {
          if (!hasCode(error, connectorErrors.MARKS_MISSING.code)) throw error;
          publishAnyway(store, job.jobId, plan);
          store.job(job.jobId).phase = 'done';
          store.job(job.jobId).receipt = receipt;
          return receipt;
        }
      },
    })),
  'does not check the phase when it marks': (connector) =>
    withWriter(connector, (writer) => ({
      mark: (facts, last, signal) =>
        writer.mark(facts, last, signal).catch((error: unknown) => {
          if (hasCode(error, connectorErrors.JOB_CLOSED.code)) return 'marked' as const;
          throw error;
        }),
    })),
  'publishes after an abort': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async finish(plan, receipt, signal) {
        const standing = store.job(job.jobId);
        if (standing.phase === 'aborted' && standing.plan !== undefined) publishAnyway(store, job.jobId, plan);
        return sink.finish(plan, receipt, signal);
      },
    })),
  'replaces what a stranger wrote': (connector, store) =>
    withSink(connector, (sink, job) => ({
      async finish(plan, receipt, signal) {
        const { phase, publishedTargets } = store.job(job.jobId);
        const targets = plan.targets.map((target) =>
          phase === 'open' && !publishedTargets.has(target.target)
            ? { ...target, base: store.objects.get(target.path)?.etag ?? 'absent' }
            : target,
        );
        return sink.finish({ ...plan, targets }, receipt, signal);
      },
    })),
  'gives the last finisher\'s receipt': (connector) =>
    withSink(connector, (sink) => ({
      async finish(plan, receipt, signal): Promise<Receipt> {
        await sink.finish(plan, receipt, signal);
        return receipt;
      },
    })),
  'shows parts before finish': (connector, store) =>
    withWriter(connector, (writer) => ({
      async mark(facts, last, signal) {
        const result = await writer.mark(facts, last, signal);
        store.put('out/one.part', last.bytes);
        return result;
      },
    })),
  'does not let go of what it opened': (connector) => withSource(connector, () => ({ close: () => Promise.resolve() })),
  'prints the password in its errors': (connector) => ({
    ...delegated(connector),
    async check(end, context) {
      try {
        await connector.check(end, context);
      } catch (error) {
        if (!isDmgError(error)) throw error;
        throw Object.assign(error, { message: error.message.replace('.', ` with ${context.secrets.get('key') ?? 'no key'}.`) });
      }
    },
  }),
};
