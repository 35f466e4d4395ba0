/** One line of the table that the demo shows while it works. */
export interface TableRow {
  readonly activity: string;
  readonly node: string;
  readonly state: string;
  readonly bytes: number;
  /** 0 where it is not known yet. */
  readonly bytesTotal: number;
  readonly seconds: number;
}

export interface TableContent {
  readonly nodes: readonly string[];
  readonly rows: readonly TableRow[];
  /** Since the first job was submitted. */
  readonly seconds: number;
}

export interface LiveTable {
  show(content: TableContent): void;
  end(): void;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

const states: Readonly<Record<string, string>> = { Queued: 'waiting', InProgress: 'running', Succeeded: 'done' };
const eraseToEnd = '\u001b[K';

/**
 * A table that is redrawn in place on a terminal. Elsewhere only changes of state are written, one line each, so that a log stays
 * readable.
 */
export function createLiveTable(stream: NodeJS.WriteStream): LiveTable {
  let shown: readonly string[] = [];
  const lastStates = new Map<string, string>();
  return {
    show(content) {
      if (!stream.isTTY) {
        for (const row of content.rows) {
          if (lastStates.get(row.activity) === row.state) continue;
          lastStates.set(row.activity, row.state);
          stream.write(`  ${formatRow(row)}\n`);
        }
        return;
      }
      const lines = tableLines(content, { columns: stream.columns || 80, rows: stream.rows || 24 });
      stream.write(redraw(shown, lines));
      shown = lines;
    },
    end() {
      shown = [];
    },
  };
}

/** The table as lines that neither wrap nor scroll out of the terminal: cut at the right, and the jobs that run or failed first. */
export function tableLines({ nodes, rows, seconds }: TableContent, size: TerminalSize): string[] {
  const head = [`nodes: ${nodes.length === 0 ? 'none yet' : nodes.join(' · ')}`, header];
  const foot = [totalLine(rows, seconds)];
  // One line stays free for the cursor.
  const room = Math.max(1, size.rows - head.length - foot.length - 1);
  const kept = rows.length <= room ? rows : mostTelling(rows, room - 1);
  const more = kept.length === rows.length ? [] : [`… and ${rows.length - kept.length} more`];
  return [...head, ...kept.map(formatRow), ...more, ...foot].map((line) => line.slice(0, Math.max(1, size.columns - 1)));
}

/** What to write so that `lines` stand where `shown` stood. Lines that did not change are not touched, so that nothing flickers. */
export function redraw(shown: readonly string[], lines: readonly string[]): string {
  const up = shown.length > 0 ? `\u001b[${shown.length}A` : '';
  const surplus = Math.max(0, shown.length - lines.length);
  const body = lines.map((line, index) => (line === shown[index] ? '\r\n' : `\r${line}${eraseToEnd}\r\n`)).join('');
  return `${up}${body}${`\r${eraseToEnd}\r\n`.repeat(surplus)}${surplus > 0 ? `\u001b[${surplus}A` : ''}`;
}

function mostTelling(rows: readonly TableRow[], count: number): TableRow[] {
  const rank = ({ state }: TableRow): number => (state === 'InProgress' ? 0 : state === 'Queued' ? 2 : state === 'Succeeded' ? 3 : 1);
  const chosen = new Set(rows.toSorted((a, b) => rank(a) - rank(b)).slice(0, count));
  return rows.filter((row) => chosen.has(row));
}

const header = `${'job'.padEnd(20)} ${'node'.padEnd(8)} ${'state'.padEnd(9)} ${'MB'.padStart(8)} ${'MB/s'.padStart(7)} ${'%'.padStart(4)}`;

function formatRow(row: TableRow): string {
  const hasBegun = row.state !== 'Queued';
  const megabytes = row.bytes / 1e6;
  const rate = hasBegun && row.seconds > 0 ? (megabytes / row.seconds).toFixed(1) : '';
  const state = states[row.state] ?? row.state;
  const amount = hasBegun ? megabytes.toFixed(1) : '';
  const percent = percentOf(row).padStart(4);
  return `${row.activity.padEnd(20)} ${row.node.padEnd(8)} ${state.padEnd(9)} ${amount.padStart(8)} ${rate.padStart(7)} ${percent}`;
}

function percentOf({ state, bytes, bytesTotal }: TableRow): string {
  if (state === 'Succeeded') return '100';
  return bytesTotal > 0 ? String(Math.min(100, Math.floor((100 * bytes) / bytesTotal))) : '';
}

function totalLine(rows: readonly TableRow[], seconds: number): string {
  const countOf = (state: string): number => rows.filter((row) => row.state === state).length;
  const [done, running, waiting] = [countOf('Succeeded'), countOf('InProgress'), countOf('Queued')];
  const bad = rows.length - done - running - waiting;
  const megabytes = rows.reduce((sum, row) => sum + row.bytes, 0) / 1e6;
  const rate = seconds > 0 ? `, ${(megabytes / seconds).toFixed(1)} MB/s` : '';
  const counts = `${done} of ${rows.length} done, ${running} running, ${waiting} waiting${bad > 0 ? `, ${bad} FAILED` : ''}`;
  return `total: ${counts}; ${megabytes.toFixed(1)} MB${rate}, ${seconds.toFixed(1)} s`;
}
