import type { Clock } from '@dmg/base';
import type { CopyActivity, CopyLog, FileSkipReason, Mark, Plan } from '@dmg/model';
import { csvLine, sessionHeader } from './skipped-rows.ts';

export interface SessionLogRequest {
  readonly plan: Plan;
  /** Those that count, by target. */
  readonly marks: readonly (readonly Mark[])[];
  readonly activity: CopyActivity;
  readonly level: CopyLog['level'];
  readonly clock: Clock;
}

const skipTexts: Readonly<Record<FileSkipReason, string>> = {
  missing: 'Skipped (fileMissing): it was removed before it had been copied.',
  forbidden: 'Skipped (fileForbidden): the store refused to let it be read.',
  changed: 'Skipped (dataInconsistency): it was changed or replaced while it was copied.',
};

/**
 * The session log of a finished copy, from its plan and marks: what was read and what was written, and from which chunks rows were
 * left out. Those rows stand in files of their own. Empty where the level leaves nothing to say.
 */
export function sessionLines({ plan, marks, activity, level, clock }: SessionLogRequest): Buffer[] {
  const timestamp = new Date(clock.wallMs()).toISOString();
  const lines: Buffer[] = [];
  const say = (lineLevel: CopyLog['level'], operation: string, item: string, message: string): void => {
    if (level === 'Info' || lineLevel === 'Warning') lines.push(csvLine([timestamp, lineLevel, operation, item, message]));
  };
  const isTable = { source: activity.source.format.type === 'Table', sink: activity.sink.format.type === 'Table' };
  for (const target of plan.targets) {
    const own = marks[target.target] ?? [];
    const left = own.find((mark) => mark.fileSkipped !== undefined)?.fileSkipped;
    if (left !== undefined) {
      for (const source of target.sources) say('Warning', 'FileSkip', source.path, skipTexts[left]);
      continue;
    }
    const total = (of: (mark: Mark) => number): number => own.reduce((sum, mark) => sum + of(mark), 0);
    const skipped = total((mark) => mark.rowsSkipped ?? 0);
    const rows = plan.representation === 'rows' || isTable.source ? ` and ${total((mark) => mark.rows)} rows` : '';
    const attempts = new Set(own.map((mark) => mark.attemptId)).size;
    for (const source of target.sources) {
      const item = isTable.source ? `${source.path} ${source.identity}`.slice(0, 500) : source.path;
      const size = isTable.source ? '' : `, ${source.sizeBytes} bytes`;
      say('Info', isTable.source ? 'TabularRead' : 'FileRead', item, `Read completely${size}.`);
    }
    const where = `see the files rows-${target.target}-*.csv`;
    if (skipped > 0) say('Warning', 'TabularRowSkip', target.path, `${skipped} rows were skipped; ${where}.`);
    const written = `${total((mark) => mark.bytes)} bytes${rows} in ${own.length} chunks by ${attempts} attempts`;
    say('Info', isTable.sink ? 'TabularWrite' : 'FileWrite', target.path, `Written completely: ${written}.`);
  }
  return lines.length === 0 ? [] : [csvLine(sessionHeader), ...lines];
}
