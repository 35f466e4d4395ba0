import { connectorErrors, type Sink, type Source, type TableIntake, type TableSource } from '@dmg/connector-api';
import { createTranscoder } from '@dmg/formats';
import type { Job, RowFormat, SourceObject, TableColumn } from '@dmg/model';
import { addedColumns, shapeWithAdded } from './added-columns.ts';
import { planColumns, type SourceShape, tableTranslator, type TargetShape } from './column-plan.ts';
import { codecsOf, isOneChunk, sourceCodecOf } from './codecs.ts';
import { cutStreams } from './cutting.ts';
import type { EngineLimits } from './engine-limits.ts';
import { engineErrors } from './errors.ts';
import { checkTableOverlap, type CopySecrets } from './overlap.ts';
import { forEachParallel } from './parallel.ts';
import type { PlanDraft } from './plan.ts';
import { takesSnapshotBound } from './snapshot-step.ts';
import { headerBytes, readSourceColumns, type SourceColumns } from './source-columns.ts';
import { isJsonArray, isRowFormat } from './row-formats.ts';
import type { StoreCalls } from './store-calls.ts';
import { exchangeOf } from './stream-exchange.ts';
import { streamTargetPath, tablePathOf } from './target-layout.ts';

/** Files whose headers are read at once. */
const parallelHeaders = 8;

/** What is planned before the sink is asked for the state of its targets. */
export interface TableStep {
  readonly job: Job;
  readonly attemptId: string;
  readonly secrets: CopySecrets;
  readonly calls: StoreCalls;
  readonly limits: EngineLimits;
  readonly sink: Sink;
}

/** A copy from a table: one target, of which each chunk is a partition of the source. */
export async function planFromTable(step: TableStep, table: TableSource, signal: AbortSignal): Promise<PlanDraft> {
  const { job, calls, sink, limits } = step;
  const { activity } = job;
  const partitioning = { what: 'cut the source into partitions', limitMs: limits.partitionLimitMs, signal };
  const wish = {
    partitionsMax: isOneChunk(codecsOf(activity)) || isJsonArray(activity.sink.format)
      ? 1 : Math.min(sink.limits.chunksPerTargetMax, sink.limits.partsPerTargetMax),
    snapshotBound: takesSnapshotBound(activity, sink),
  };
  const parts = await calls.repeated(partitioning, (callSignal) => table.partition(callSignal, wish));
  // Not before: partitions are refused when columns are not those that they were made of, so that these are.
  const sourceColumns = await calls.repeated({ what: 'read the columns of the source', signal }, (callSignal) => table.columns(callSignal));
  const { kind, consistency, snapshotKey, partitions } = parts;
  const [first] = partitions;
  if (first === undefined) throw new Error('the source gave no partition');
  const path = sink.table === undefined ? streamTargetPath(activity, first.path) : tablePath(step, sink.table);
  if (sourceColumns.length === 0) throw engineErrors.NO_COLUMNS.create({ source: first.path, target: path });
  if (sink.table !== undefined) checkTableOverlap(activity, { source: first.path, sink: path }, step.secrets);
  const shape = shapeWithAdded({
    path: first.path, count: sourceColumns.length, names: sourceColumns.map((column) => column.name),
    columns: nativeTo(step, sourceColumns),
  }, activity);
  const columns = sink.table === undefined ? undefined
    : planColumns(activity.translator, shape, await tableShape(step, sink.table, path, signal));
  const { text: intake, ownForm: intakeForm } = sink.table ?? {};
  const exchange = exchangeOf({ activity, source: table, sourceColumns, intake, intakeForm, sinkColumns: columns });
  const { partBytes, cutting } = cutStreams({
    path, source: first.path, sizes: partitions.map((partition) => partition.sizeBytes), limits: sink.limits,
    store: activity.sink.connector,
  });
  return {
    // Hashes are of what is compressed, not of the bytes that are written.
    representation: exchange.way === 'transcode' || codecsOf(activity).sink !== undefined ? 'rows' : 'bytes',
    sourceKind: kind,
    partBytes,
    // A single stream is of one moment by itself. A snapshot that nobody can join is known by the only attempt that reads under it.
    ...(consistency === 'snapshot' && partitions.length > 1 ? { snapshotKey: snapshotKey ?? step.attemptId } : {}),
    targets: [{ path, sources: partitions, cutting, ...(columns === undefined ? {} : { columns }) }],
  };
}

/** Which columns of the table each file is written to, in order of `sources`. Reads the beginning of every file. */
export async function planFileColumns(
  step: TableStep, request: { source: Source; sources: readonly SourceObject[]; intake: TableIntake; path: string }, signal: AbortSignal,
): Promise<(readonly TableColumn[])[]> {
  const { source, sources, intake, path } = request;
  const { translator, source: { format } } = step.job.activity;
  if (!isRowFormat(format)) throw engineErrors.FORMATS_MIXED.create({ source: format.type, sink: 'Table' });
  if (sources.length === 0) return [];
  const shapes: SourceShape[] = [];
  await forEachParallel([...sources.entries()], { count: parallelHeaders, signal }, async ([index, object], itemSignal) => {
    const shape = { path: object.path, ...await readColumns(step, { source, object, format }, itemSignal) };
    shapes[index] = shapeWithAdded(shape, step.job.activity);
  });
  let target = await tableShape(step, intake, path, signal);
  if (target.columns === undefined) {
    // The first file that has columns makes the table; the others have to fit it.
    const first = shapes.find((shape) => shape.count > 0);
    if (first === undefined) throw engineErrors.NO_COLUMNS.create({ source: shapes[0]?.path ?? '', target: path });
    const created = planColumns(translator, first, target);
    target = { path, columns: created };
  }
  const columns = shapes.map((shape) => planColumns(translator, shape, target));
  const mapped = tableTranslator(translator, { source: undefined, sink: columns[0] });
  // Refuses now what could not be transcoded later.
  createTranscoder({ source: format, sink: intake.text, fileName: path, ...(mapped === undefined ? {} : { translator: mapped }) });
  return columns;
}

/** The sink's table, as the path of its targets. */
export function tablePath(step: Pick<TableStep, 'job'>, intake: TableIntake): string {
  return intake.path ?? tablePathOf(step.job.activity.sink);
}

async function tableShape(step: TableStep, intake: TableIntake, path: string, signal: AbortSignal): Promise<TargetShape> {
  const what = { what: `read the columns of ${path}`, signal };
  const columns = await step.calls.repeated(what, (callSignal) => intake.columns(path, callSignal));
  const option = step.job.activity.sink.settings.tableOption;
  const creates = typeof option === 'string' && option.toLowerCase() === 'autocreate';
  if (columns === undefined && !creates) throw engineErrors.TABLE_NOT_FOUND.create({ table: path });
  return { path, columns };
}

/** Another kind of store does not know the source's own types. */
function nativeTo(step: TableStep, columns: readonly TableColumn[]): readonly TableColumn[] {
  const { source, sink } = step.job.activity;
  if (source.connector === sink.connector) return columns;
  return columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
}

function readColumns(
  step: TableStep, request: { source: Source; object: SourceObject; format: RowFormat }, signal: AbortSignal,
): Promise<SourceColumns> {
  const { source, object, format } = request;
  const { translator } = step.job.activity;
  return readSourceColumns(object, format, async (position, bytes) => {
    const what = { what: `read ${object.path}`, bytes, signal };
    // A buffer for each try: a read that was given up may still write into its own.
    const block = await step.calls.repeated(what, async (callSignal) => {
      const into = new Uint8Array(Math.min(bytes, headerBytes));
      const count = into.length === 0 ? 0 : await source.read(object, position, into, callSignal);
      if (count !== into.length) throw connectorErrors.SOURCE_CHANGED.create({ path: object.path });
      return into;
    });
    return block;
  }, {
    codec: sourceCodecOf(codecsOf(step.job.activity), object),
    ends: { added: addedColumns(step.job.activity, object.path), ...(translator === undefined ? {} : { translator }) },
  });
}

