import type { OwnForm, TableSource } from '@dmg/connector-api';
import { type AddedColumn, compileMapping, createTranscoder, isWritableEncoding, withAddedColumns, writesRowEnds } from '@dmg/formats';
import type { CopyActivity, DelimitedTextFormat, InterimType, RowFormat, TableColumn, Translator } from '@dmg/model';
import { addedColumns, tableColumnsWithAdded } from './added-columns.ts';
import { tableTranslator } from './column-plan.ts';
import { isRowFormat } from './row-formats.ts';

/** How the text of a table's streams becomes what the sink takes. */
export interface StreamExchange {
  /**
   * `own`: rows in a form that only the servers understand. `pass`: the server writes what the sink takes.
   * `rowEnds`: up to its row ends, which are replaced. `transcode`: rows are decoded and encoded, mapped and converted.
   */
  readonly way: 'own' | 'pass' | 'rowEnds' | 'transcode';
  /** The format in which the server is asked to write. */
  readonly read: DelimitedTextFormat;
  readonly write: RowFormat;
  /** Source columns (from 0) that the server is asked for, in order; undefined: all, in their order. */
  readonly choice: readonly number[] | undefined;
  /** Names for the header of a file, in order; for `transcode` those of all source columns. */
  readonly names: readonly string[];
  /** For `transcode`: types of the columns that `names` names. */
  readonly types: readonly InterimType[];
  /** For `transcode`. */
  readonly translator: Translator | undefined;
  readonly added: readonly AddedColumn[];
}

export interface ExchangeRequest {
  readonly activity: CopyActivity;
  readonly source: Pick<TableSource, 'writes' | 'text' | 'openColumns' | 'ownForm'>;
  readonly sourceColumns: readonly TableColumn[];
  /** Text that a table sink takes; undefined for files. */
  readonly intake: DelimitedTextFormat | undefined;
  /** The own form of a table sink, where it has one. */
  readonly intakeForm?: OwnForm | undefined;
  /** Columns of the plan's target, where it is a table. */
  readonly sinkColumns: readonly TableColumn[] | undefined;
}

/**
 * The cheapest exchange that formats and mapping allow. Bytes pass through where the source's server writes the sink's format and
 * nothing is asked for but choosing, ordering and renaming columns. Throws what the mapping or a format makes impossible.
 */
export function exchangeOf(request: ExchangeRequest): StreamExchange {
  const { activity, source, sourceColumns, sinkColumns } = request;
  const write = request.intake ?? activity.sink.format;
  if (!isRowFormat(write)) throw new TypeError(`a table's streams cannot be written as ${write.type}`);
  const path = activity.source.connector;
  const added = addedColumns(activity, path);
  const translator = tableTranslator(activity.translator, { source: tableColumnsWithAdded(sourceColumns, added, path), sink: sinkColumns });
  const names = sourceColumns.map((column) => column.name);
  const types = sourceColumns.map((column) => column.type);
  const mapped = compileMapping(translator, withAddedColumns({ count: names.length, names }, added, path), path);
  const transcoding: StreamExchange = { way: 'transcode', read: source.text, write, choice: undefined, names, types, translator, added };
  const isPlain = added.length === 0 && mapped.every(({ converter, held }) => converter === undefined && held === undefined);
  if (isPlain && isWritableEncoding(write.encodingName)) {
    const indexes = mapped.map((column) => column.sourceIndex);
    const whole = indexes.length === names.length && indexes.every((sourceIndex, index) => sourceIndex === index);
    // What a server writes without quotes has escapes (a letter for a line break) that only servers read.
    const hasEscapes = write.type === 'Json' || (request.intake === undefined && write.quoteChar === '');
    const passing = hasEscapes ? undefined : passingFormat(source, write);
    const kept = mapped.every((column, index) => keepsText(sourceColumns[column.sourceIndex], sinkColumns?.[index]));
    if (passing !== undefined && kept && (whole || source.openColumns !== undefined)) {
      const sinkNames = mapped.map((column) => column.sinkName);
      const way = isOwn(request, indexes) ? 'own' : passing.way;
      return { ...passing, way, write, choice: whole ? undefined : indexes, names: sinkNames, types: [], translator: undefined, added };
    }
  }
  // Refuses now what could not be transcoded later.
  const mapping = translator === undefined ? {} : { translator };
  createTranscoder({ source: source.text, sink: write, fileName: path, bareColumns: names, added, ...mapping });
  return transcoding;
}

function passingFormat(
  source: Pick<TableSource, 'writes'>, write: DelimitedTextFormat,
): Pick<StreamExchange, 'way' | 'read'> | undefined {
  // An empty row delimiter is CR LF when written.
  const rowDelimiter = write.rowDelimiter === '' ? '\r\n' : write.rowDelimiter;
  const asked: DelimitedTextFormat = { ...write, rowDelimiter, firstRowAsHeader: false, skipLineCount: 0, encodingName: 'UTF-8' };
  if (source.writes(asked)) return { way: 'pass', read: asked };
  const lines: DelimitedTextFormat = { ...asked, rowDelimiter: '\n' };
  if (!writesRowEnds(write) || !source.writes(lines)) return undefined;
  return { way: 'rowEnds', read: lines };
}

/** Every column is of the same type at both ends, and that type has a form which both servers know. `indexes`: those of the source. */
function isOwn({ source, sourceColumns, intakeForm, sinkColumns }: ExchangeRequest, indexes: readonly number[]): boolean {
  const form = source.ownForm;
  if (form === undefined || form.name !== intakeForm?.name || sinkColumns === undefined) return false;
  return indexes.every((sourceIndex, index) => {
    const [from, to] = [sourceColumns[sourceIndex], sinkColumns[index]];
    const type = from === undefined ? undefined : form.typeOf(from);
    return type !== undefined && to !== undefined && type === intakeForm.typeOf(to);
  });
}

/** From table to table a server's own short forms (`t`, `f`) are understood by a column of the same type only. */
function keepsText(source: TableColumn | undefined, sink: TableColumn | undefined): boolean {
  return sink === undefined || source?.type !== 'Boolean' || sink.type === 'Boolean';
}
