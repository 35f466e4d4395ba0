import assert from 'node:assert/strict';
import { silentLogger, systemClock, systemRandom } from '@dmg/base';
import type { ConnectorContext, TablePartitions, TableSource, TextStream } from '@dmg/connector-api';
import type { CopyEnd, DelimitedTextFormat, JsonObject, SourceObject } from '@dmg/model';
import { postgresqlConnector } from '../postgresql-connector.ts';
import type { PostgresServer } from './postgres-server.ts';
import { csvText } from '../source/copy-format.ts';

const { signal } = new AbortController();

/** Sources on one server, as the engine opens them. */
export class SourceFixture {
  readonly #server: PostgresServer;

  constructor(server: PostgresServer) {
    this.#server = server;
  }

  end(location: JsonObject, settings: JsonObject = {}, connection: JsonObject = {}): CopyEnd {
    const merged = { ...this.#server.connection, ...connection };
    return { connector: 'postgresql', connection: merged, location, settings, format: { type: 'Table' } };
  }

  context(callLimitMs = 10_000, secrets: ReadonlyMap<string, string> = this.#server.secrets): ConnectorContext {
    return { clock: systemClock, random: systemRandom, logger: silentLogger, secrets, callLimitMs };
  }

  async open(end: CopyEnd, context = this.context()): Promise<TableSource> {
    assert.ok(postgresqlConnector.openTableSource !== undefined);
    return await postgresqlConnector.openTableSource(end, context);
  }

  /** A source for the length of `work`. */
  async with<T>(end: CopyEnd, work: (source: TableSource) => Promise<T>): Promise<T> {
    const source = await this.open(end);
    try {
      return await work(source);
    } finally {
      await source.close();
    }
  }

  /** Waits until the query gives a row. */
  async waitFor(sql: string, limitMs = 5000): Promise<void> {
    const startMs = systemClock.monotonicMs();
    while ((await this.#server.admin(sql)).length === 0) {
      assert.ok(systemClock.monotonicMs() - startMs < limitMs, `not within ${limitMs} ms: ${sql}`);
    }
  }
}

export async function readText(
  source: TableSource, partition: SourceObject, format: DelimitedTextFormat = csvText,
): Promise<{ text: string; rows: number }> {
  return await rest(await source.open(partition, format, signal));
}

/** Reads a stream to its end and closes it. */
export async function rest(stream: TextStream): Promise<{ text: string; rows: number }> {
  const parts: Buffer[] = [];
  for (;;) {
    const bytes = await stream.next(signal);
    if (bytes === undefined) break;
    parts.push(Buffer.from(bytes));
  }
  await stream.close();
  return { text: Buffer.concat(parts).toString('utf8'), rows: stream.rows };
}

/** Reads all partitions, two at a time, and gives the lines of each; the server's count must be theirs. */
export async function readAll(source: TableSource, { partitions }: TablePartitions): Promise<string[][]> {
  const lines: string[][] = [];
  const left = [...partitions.entries()];
  const reader = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, partition] = next;
      const { text, rows } = await readText(source, partition);
      const found = text === '' ? [] : text.slice(0, -1).split('\n');
      assert.equal(found.length, rows);
      lines[index] = found;
    }
  };
  await Promise.all([reader(), reader()]);
  return lines;
}

/** Settings for ranges. */
export function dynamicRange(details: JsonObject = {}): JsonObject {
  return { partitionOption: 'DynamicRange', partitionSettings: details };
}
