/** One line of the table that the demo shows while it works. */
export interface TableRow {
  readonly activity: string;
  readonly node: string;
  readonly state: string;
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly seconds: number;
}

const states: Readonly<Record<string, string>> = { Queued: 'waiting', InProgress: 'running', Succeeded: 'done' };

export interface LiveTable {
  show(nodes: readonly string[], rows: readonly TableRow[]): void;
  end(): void;
}

/**
 * A table that is redrawn in place on a terminal. Elsewhere only changes of state are written, one line each, so that a log stays
 * readable.
 */
export function createLiveTable(stream: NodeJS.WriteStream): LiveTable {
  let lines = 0;
  const lastStates = new Map<string, string>();
  return {
    show(nodes, rows) {
      if (!stream.isTTY) {
        for (const row of rows) {
          if (lastStates.get(row.activity) === row.state) continue;
          lastStates.set(row.activity, row.state);
          stream.write(`  ${formatRow(row)}\n`);
        }
        return;
      }
      const text = [`nodes: ${nodes.join(' · ')}`, header, ...rows.map(formatRow)];
      stream.write(`${lines > 0 ? `\u001b[${lines}A` : ''}${text.map((line) => `\u001b[2K${line.slice(0, stream.columns)}`).join('\n')}\n`);
      lines = text.length;
    },
    end() {
      lines = 0;
    },
  };
}

const header = `${'job'.padEnd(20)} ${'node'.padEnd(8)} ${'state'.padEnd(9)} ${'MB'.padStart(8)} ${'MB/s'.padStart(7)} ${'%'.padStart(4)}`;

function formatRow(row: TableRow): string {
  const megabytes = row.bytes / 1e6;
  const rate = row.seconds > 0 ? (megabytes / row.seconds).toFixed(1) : '';
  const percent = row.bytesTotal > 0 ? `${Math.min(100, Math.floor((100 * row.bytes) / row.bytesTotal))}` : row.state === 'Succeeded' ? '100' : '';
  const state = states[row.state] ?? row.state;
  return `${row.activity.padEnd(20)} ${row.node.padEnd(8)} ${state.padEnd(9)} ${megabytes.toFixed(1).padStart(8)} ${rate.padStart(7)} ${percent.padStart(4)}`;
}
