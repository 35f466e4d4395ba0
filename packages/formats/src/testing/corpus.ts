import { readdirSync, readFileSync } from 'node:fs';
import type { DelimitedTextFormat } from '@dmg/model';
import type { ByteCell, NaiveFault } from './naive-reader.ts';
import { defaults } from './naive-text.ts';

/** One input with all that decides what comes out of it. */
export interface TextCase {
  readonly input: Uint8Array;
  readonly format: DelimitedTextFormat;
  readonly recordBytesMax: number;
  readonly validText?: boolean;
}

/** A file of the corpus and what must come out of it. */
export interface CorpusFile extends TextCase {
  readonly name: string;
  readonly about: string;
  readonly header: readonly string[] | undefined;
  /** Undefined: only their number and width are given. */
  readonly rows: readonly (readonly ByteCell[])[] | undefined;
  readonly size: { readonly rows: number; readonly columns: number } | undefined;
  readonly fault: NaiveFault | undefined;
}

/** As it stands in `corpus/<name>.json`, beside the bytes in `corpus/<name>.csv`. */
interface Expectation {
  readonly about: string;
  /** What differs from the defaults of Data Factory v2. */
  readonly format?: Partial<DelimitedTextFormat>;
  readonly recordBytesMax?: number;
  readonly validText?: boolean;
  readonly header?: readonly string[];
  readonly rows?: readonly (readonly (string | null | { readonly hex: string })[])[];
  readonly size?: { readonly rows: number; readonly columns: number };
  /** Without the name of the file. */
  readonly fault?: { readonly code: string } & Readonly<Record<string, string | number>>;
}

const folder = new URL('corpus/', import.meta.url);
const recordBytesDefault = 1024 * 1024;

/** Name of the file in errors. */
export const corpusFileName = 'input.csv';

/** The kept corpus, in order of name. */
export function readCorpus(): readonly CorpusFile[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length)).toSorted();
  return names.map((name): CorpusFile => {
    const expected = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as Expectation;
    const { code, ...params } = expected.fault ?? { code: '' };
    return {
      name,
      about: expected.about,
      input: readFileSync(new URL(`${name}.csv`, folder)),
      format: { ...defaults, ...expected.format },
      recordBytesMax: expected.recordBytesMax ?? recordBytesDefault,
      validText: expected.validText ?? false,
      header: expected.header,
      rows: expected.rows?.map((row) => row.map(cellOf)),
      size: expected.size,
      fault: code === '' ? undefined : { code, params: { file: corpusFileName, ...params } },
    };
  });
}

function cellOf(cell: string | null | { readonly hex: string }): ByteCell {
  if (cell === null) return null;
  return (typeof cell === 'string' ? Buffer.from(cell) : Buffer.from(cell.hex, 'hex')).toString('latin1');
}
