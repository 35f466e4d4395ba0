import type { CopyActivity, CopyEnd, DataFormat, Translator } from '@dmg/model';

type FormatName = DataFormat['type'];

/** Why data of one format cannot become data of the other, with what to do; undefined when it can. */
export function mixProblem(from: FormatName, to: FormatName): string | undefined {
  if (from === to || (from !== 'Binary' && to !== 'Binary')) return undefined;
  if (from === 'Table') return 'copies a table to Binary, which says nothing of rows; use a DelimitedText dataset as sink';
  if (to === 'Table') return 'copies Binary to a table, and bytes have no rows; use a DelimitedText dataset as source';
  return `copies ${from} to ${to}; both datasets must be of the same type`;
}

/** A problem with one side and where it stands below the activity's or the dataset's `typeProperties`. */
export interface SideProblem {
  readonly side: 'source' | 'sink';
  readonly message: string;
}

/** What the ends of a copy with tables lack. */
export function tableProblems(copy: CopyActivity): SideProblem[] {
  const problems: SideProblem[] = [];
  if (isTable(copy.source) && copy.source.settings.query === undefined && tableOf(copy.source) === undefined) {
    problems.push({ side: 'source', message: 'names no table, and the source has no query; give schema and table, or a query' });
  }
  if (isTable(copy.sink) && tableOf(copy.sink) === undefined) {
    problems.push({ side: 'sink', message: 'names no table, which a sink needs; give schema and table' });
  }
  return problems;
}

/** What is wrong with a mapping into a table; undefined when nothing is. */
export function tableMappingProblem(copy: CopyActivity): string | undefined {
  const { mappings }: Pick<Translator, 'mappings'> = copy.translator ?? { mappings: [] };
  if (!isTable(copy.sink) || mappings.every(({ sink }) => sink.name !== undefined)) return undefined;
  return 'gives the sink\'s columns by ordinal, and the sink is a table; give their names';
}

/** True when both ends name the same table, as far as names show it. Only for ends of one store. */
export function isSameTable(copy: CopyActivity): boolean {
  const [from, to] = [tableOf(copy.source), tableOf(copy.sink)];
  return copy.source.settings.query === undefined && from !== undefined && to !== undefined && from === to;
}

export function isTable(end: CopyEnd): boolean {
  return end.format.type === 'Table';
}

/** Schema and table in one comparable text. Parts in double quotes are as they stand there, with `""` for a quote. */
function tableOf({ location }: CopyEnd): string | undefined {
  const { schema, table, tableName } = location;
  const own = typeof schema === 'string' ? schema : 'public';
  if (typeof table === 'string' && table !== '') return JSON.stringify([own, table]);
  if (typeof tableName !== 'string' || tableName.trim() === '') return undefined;
  const parts = [...tableName.matchAll(/"((?:[^"]|"")*)"|[^".]+/g)].map(([whole, quoted]) => quoted?.replaceAll('""', '"') ?? whole.trim());
  return JSON.stringify(parts.length === 1 ? [own, ...parts] : parts);
}
