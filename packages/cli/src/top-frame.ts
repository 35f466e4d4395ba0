import { bytesText, countText, megabytesText, percentText, rateText, secondsText } from './amounts.ts';
import { adviceFor, type GatewayView, type NodeView } from './gateway-view.ts';

/** What `dmg top` shows at one moment. */
export interface TopData {
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly gateway: GatewayView;
  /** By node. */
  readonly network: Readonly<Record<string, NetworkRate>>;
  readonly jobs: readonly TopJob[];
  /** Runs that are open beyond those whose jobs were read. */
  readonly moreRuns: number;
  /** Why the picture is an old one; undefined when it is not. */
  readonly trouble: string | undefined;
}

export interface NetworkRate {
  readonly sentPerSecond: number | undefined;
  readonly receivedPerSecond: number | undefined;
}

export interface TopJob {
  readonly pipeline: string;
  readonly activity: string;
  readonly runId: string;
  /** Empty: none yet. */
  readonly node: string;
  readonly status: string;
  readonly bytes: number;
  /** 0: not known. */
  readonly bytesTotal: number;
  readonly seconds: number;
}

export interface TopSize {
  readonly columns: number;
  readonly rows: number;
  /** With colours of ANSI terminals. */
  readonly colours: boolean;
}

type Paint = 'good' | 'bad' | 'warning' | 'faint' | 'strong';

interface Column<T> {
  readonly title: string;
  readonly right?: boolean;
  /** Of columns that do not fit, the one with the largest number goes first; 0 stays. */
  readonly rank: number;
  text(row: T): string;
  paint?(row: T): Paint | undefined;
}

const codes: Readonly<Record<Paint, string>> = { good: '32', bad: '31', warning: '33', faint: '2', strong: '1' };
const gap = 2;
/** At least so many jobs are shown before the nodes' advice is cut. */
const jobRowsMin = 3;

/** The lines of one frame; none is wider or higher than the terminal. Pure. */
export function renderTop(data: TopData, size: TopSize): string[] {
  const room = Math.max(4, size.rows);
  const { gateway } = data;
  const nodes = tableLines(nodeColumns(data), gateway.nodes, size);
  const advice = adviceFor(gateway).map((line) => paintLine(cut(line, size.columns), 'warning', size));
  const head = [headLine(data, size), ...troubleLine(data, size), '', ...nodes, ...advice];
  const jobRoom = Math.max(jobRowsMin, room - head.length - 1);
  return [...head, '', ...jobLines(data, jobRoom, size)].slice(0, room);
}

function headLine({ atMs, gateway }: TopData, size: TopSize): string {
  const { name, state, nodes, availableNodes, queueLength, pickupDelaySeconds } = gateway;
  const running = nodes.reduce((sum, node) => sum + (node.running ?? 0), 0);
  const parts = [
    `gateway ${name}: ${state}`,
    `${availableNodes} of ${nodes.length} nodes available`,
    `${running} running`,
    ...(queueLength === undefined ? [] : [`${queueLength} waiting`]),
    ...(pickupDelaySeconds === undefined ? [] : [`pick-up ${secondsText(pickupDelaySeconds)}`]),
    `${new Date(atMs).toISOString().slice(11, 19)} UTC`,
  ];
  return paintLine(cut(parts.join('   '), size.columns), 'strong', size);
}

function troubleLine({ trouble }: TopData, size: TopSize): string[] {
  return trouble === undefined ? [] : [paintLine(cut(trouble, size.columns), 'bad', size)];
}

function nodeColumns({ network }: TopData): Column<NodeView>[] {
  return [
    { title: 'NODE', rank: 0, text: ({ name }) => name },
    {
      title: 'ROLE', rank: 3, text: ({ isDispatcher }) => (isDispatcher ? 'dispatcher' : 'worker'),
      paint: ({ isDispatcher }) => (isDispatcher ? 'strong' : 'faint'),
    },
    { title: 'STATUS', rank: 0, text: ({ status }) => status, paint: ({ status }) => statusPaint(status) },
    { title: 'VERSION', rank: 8, text: ({ version }) => version },
    { title: 'JOBS', rank: 0, right: true, text: ({ running, limit }) => `${countText(running)}/${countText(limit)}` },
    { title: 'CPU', rank: 1, right: true, text: ({ cpuPercent }) => percentText(cpuPercent) },
    { title: 'FREE MEM', rank: 2, right: true, text: ({ availableMemoryMb }) => megabytesText(availableMemoryMb) },
    { title: 'NET IN', rank: 5, right: true, text: ({ name }) => rateText(network[name]?.receivedPerSecond) },
    { title: 'NET OUT', rank: 6, right: true, text: ({ name }) => rateText(network[name]?.sentPerSecond) },
    { title: 'LAST CONTACT', rank: 7, text: ({ lastContact }) => lastContact?.slice(11, 19) ?? 'never' },
  ];
}

function statusPaint(status: string): Paint {
  if (status === 'Online') return 'good';
  return status === 'Offline' || status === 'InitializeFailed' || status === 'NeedRegistration' ? 'bad' : 'warning';
}

function jobLines({ jobs, moreRuns }: TopData, room: number, size: TopSize): string[] {
  if (jobs.length === 0) return [paintLine('no job is under way', 'faint', size)];
  const fits = jobs.length <= room - 1 && moreRuns === 0;
  const shown = fits ? jobs : jobs.slice(0, Math.max(1, room - 2));
  const hidden = jobs.length - shown.length;
  const rest = [...(hidden > 0 ? [`${hidden} jobs`] : []), ...(moreRuns > 0 ? [`${moreRuns} runs`] : [])];
  const more = rest.length === 0 ? [] : [paintLine(cut(`… and ${rest.join(' and ')} more`, size.columns), 'faint', size)];
  return [...tableLines(jobColumns, shown, size), ...more];
}

const jobColumns: readonly Column<TopJob>[] = [
  { title: 'PIPELINE', rank: 2, text: ({ pipeline }) => pipeline },
  { title: 'JOB', rank: 0, text: ({ activity }) => activity },
  { title: 'NODE', rank: 0, text: ({ node }) => (node === '' ? '-' : node) },
  {
    title: 'STATE', rank: 0, text: ({ status, node }) => (status === 'InProgress' ? (node === '' ? 'waiting' : 'running') : status),
    paint: ({ status, node }) => (status === 'InProgress' && node !== '' ? 'good' : 'warning'),
  },
  { title: 'MOVED', rank: 1, right: true, text: ({ bytes }) => bytesText(bytes) },
  { title: 'RATE', rank: 4, right: true, text: ({ bytes, seconds }) => rateText(seconds > 0 ? bytes / seconds : undefined) },
  { title: 'DONE', rank: 3, right: true, text: doneText },
  { title: 'TIME', rank: 5, right: true, text: ({ seconds }) => secondsText(seconds) },
  { title: 'RUN', rank: 6, text: ({ runId }) => runId },
];

function doneText({ bytes, bytesTotal }: TopJob): string {
  return bytesTotal <= 0 ? '' : percentText(Math.min(100, Math.floor((100 * bytes) / bytesTotal)));
}

/** A table of those columns that fit; what is still too wide is cut at the right. */
function tableLines<T>(columns: readonly Column<T>[], rows: readonly T[], size: TopSize): string[] {
  const widthOf = (column: Column<T>): number => Math.max(column.title.length, ...rows.map((row) => column.text(row).length));
  const kept = [...columns];
  while (totalWidth(kept.map(widthOf)) > size.columns && kept.some(({ rank }) => rank > 0)) {
    const least = kept.reduce((chosen, column) => (column.rank > chosen.rank ? column : chosen));
    kept.splice(kept.indexOf(least), 1);
  }
  const widths = kept.map(widthOf);
  const line = (cells: readonly { text: string; paint?: Paint | undefined }[], whole?: Paint): string => {
    let left = size.columns;
    const parts: string[] = [];
    for (const [index, { text, paint }] of cells.entries()) {
      const width = widths[index] ?? 0;
      const isLast = index === cells.length - 1;
      const padded = kept[index]?.right === true ? text.padStart(width) : isLast ? text : text.padEnd(width);
      const cell = cut(padded, left);
      left -= cell.length;
      parts.push(paintLine(cell, whole ?? paint, size));
      if (isLast || left <= gap) break;
      parts.push(' '.repeat(gap));
      left -= gap;
    }
    return parts.join('').trimEnd();
  };
  return [
    line(kept.map(({ title }) => ({ text: title })), 'faint'),
    ...rows.map((row) => line(kept.map((column) => ({ text: column.text(row), paint: column.paint?.(row) })))),
  ];
}

function totalWidth(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + gap * Math.max(0, widths.length - 1);
}

function cut(given: string, columns: number): string {
  const text = given.replaceAll(/\p{Cc}/gu, ' '); // A name or sentence from elsewhere must not move the cursor.
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;
}

function paintLine(text: string, paint: Paint | undefined, { colours }: TopSize): string {
  return !colours || paint === undefined || text === '' ? text : `\u001b[${codes[paint]}m${text}\u001b[0m`;
}
