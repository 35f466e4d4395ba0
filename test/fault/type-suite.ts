import type { CleanupContext } from '../harness/cleanup.ts';
import { boundaryClasses, type FuzzedType } from './type-cells.ts';
import { type CellVerdict, copyBarely, copyByFile, copyDirectly, fuzzedTypes, openTypeFuzz, wholeDialects } from './type-fuzz.ts';

export interface TypeVerdict {
  readonly seed: number;
  readonly ways: readonly string[];
  /** Values that were carried and judged, in each way. */
  readonly values: number;
  readonly changed: number;
  readonly refused: number;
  /** The cell with the fewest values that were judged in one way. */
  readonly smallest: { readonly type: string; readonly boundary: string; readonly values: number };
  readonly matrix: readonly string[];
  readonly problems: readonly string[];
}

export interface TypeSuiteOptions {
  readonly seed: number;
  /** Values of each cell. */
  readonly count: number;
  readonly say: (line: string) => void;
  readonly types?: readonly FuzzedType[];
  /** Default: all. */
  readonly dialects?: readonly string[];
  /** Types that are written without quotes as well. Default: all. */
  readonly bareTypes?: readonly string[];
}

/** Values of every type and boundary class from a table to a table, directly and by files; judged by the server. */
export async function runTypeSuite(context: CleanupContext, options: TypeSuiteOptions): Promise<TypeVerdict> {
  const { seed, count, say } = options;
  const types = options.types ?? fuzzedTypes;
  const fuzz = await openTypeFuzz(context, { seed, count, types });
  const verdicts: CellVerdict[] = [];
  const problems: string[] = [];
  const note = async (way: string, judge: () => Promise<readonly CellVerdict[]>): Promise<void> => {
    try {
      const found = await judge();
      verdicts.push(...found);
      say(`${way}: ${total(found, 'values')} values, ${total(found, 'refused')} refused, ${total(found, 'changed')} changed`);
    } catch (error) {
      problems.push(`${way}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  await note('direct', () => copyDirectly(fuzz));
  for (const [way, dialect] of Object.entries(wholeDialects)) {
    if (options.dialects?.includes(way) ?? true) await note(way, () => copyByFile(fuzz, way, dialect));
  }
  const bare = [...types.keys()].filter((index) => options.bareTypes?.includes(types[index]?.name ?? '') ?? true);
  await note('neither quotes nor escapes', () => copyBarely(fuzz, bare));
  for (const { type, boundary, way, changed, values } of verdicts) {
    if (changed > 0) problems.push(`${type}, ${boundary}, ${way}: ${changed} of ${values} values changed silently`);
  }
  const ordered = verdicts.toSorted((one, other) => one.values - other.values);
  const { type = '', boundary = '', values = 0 } = ordered[0] ?? {};
  return {
    seed, ways: [...new Set(verdicts.map(({ way }) => way))], values: total(verdicts, 'values'), changed: total(verdicts, 'changed'),
    refused: total(verdicts, 'refused'), smallest: { type, boundary, values }, matrix: matrixOf(types, verdicts), problems,
  };
}

function total(verdicts: readonly CellVerdict[], field: 'values' | 'changed' | 'refused'): number {
  return verdicts.reduce((sum, verdict) => sum + verdict[field], 0);
}

/** Values judged in all ways by type and class; `!n` where n of them changed silently, `~n` where n of them were refused. */
function matrixOf(types: readonly FuzzedType[], verdicts: readonly CellVerdict[]): string[] {
  const width = Math.max(...types.map(({ name }) => name.length));
  const sums = new Map<string, { values: number; changed: number; refused: number }>();
  for (const verdict of verdicts) {
    const key = `${verdict.type}\0${verdict.boundary}`;
    const sum = sums.get(key) ?? { values: 0, changed: 0, refused: 0 };
    sums.set(key, {
      values: sum.values + verdict.values, changed: sum.changed + verdict.changed, refused: sum.refused + verdict.refused,
    });
  }
  const line = (first: string,
    cells: readonly string[]): string => `${first.padEnd(width)} ${cells.map((cell) => cell.padStart(10)).join(' ')}`;
  const rows = types.map(({ name }) => line(name, boundaryClasses.map((boundary) => {
    const sum = sums.get(`${name}\0${boundary}`);
    if (sum === undefined) return '-';
    return `${sum.values}${sum.refused > 0 ? `~${sum.refused}` : ''}${sum.changed > 0 ? `!${sum.changed}` : ''}`;
  })));
  return [line('', boundaryClasses), ...rows];
}

export function describeTypeVerdict({ ways, values, changed, refused, smallest, matrix, problems }: TypeVerdict): string {
  const cells = matrix.slice(1).join(' ').match(/ \d\S*/g)?.length ?? 0;
  return [
    ...matrix,
    `types: ${matrix.length - 1} types, ${cells} cells, ${ways.length} ways, ${values} values judged, ${refused} refused, `
      + `${changed} changed silently, smallest cell ${smallest.values} (${smallest.type}, ${smallest.boundary}), `
      + `${problems.length} problems`,
  ].join('\n');
}
