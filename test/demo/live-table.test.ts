import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redraw, tableLines, type TableRow } from './live-table.ts';

const row = (change: Partial<TableRow> = {}): TableRow => ({
  activity: 'one',
  node: 'node-1',
  state: 'InProgress',
  bytes: 5_000_000,
  bytesTotal: 20_000_000,
  seconds: 2,
  ...change,
});

/** What a terminal shows after `output`: cursor up, erase to the end of the line, carriage return and line feed are enough here. */
function terminal(output: string, size: { columns: number; rows: number }): string[] {
  const screen: string[] = [''];
  let [x, y, top] = [0, 0, 0];
  for (const [, up, erase, control, character] of output.matchAll(/\u001b\[(\d+)A|(\u001b\[K)|([\r\n])|(.)/gu)) {
    if (up !== undefined) y = Math.max(top, y - Number(up));
    else if (erase !== undefined) screen[y] = (screen[y] ?? '').slice(0, x);
    else if (control === '\r') x = 0;
    else if (control === '\n') {
      y++;
      screen[y] ??= '';
      top = Math.max(top, y - size.rows + 1);
    } else {
      assert.ok(x < size.columns, 'a line would wrap');
      screen[y] = `${(screen[y] ?? '').slice(0, x).padEnd(x)}${character}${(screen[y] ?? '').slice(x + 1)}`;
      x++;
    }
  }
  return screen;
}

test('the table shows state, MB, rate and percent of each job, and the total', () => {
  const rows = [
    row(),
    row({ activity: 'two', state: 'Succeeded', bytes: 1_000_000 }),
    row({ activity: 'three', state: 'Queued', node: '', bytes: 0, bytesTotal: 0 }),
  ];
  const lines = tableLines({ nodes: ['node-1 Online'], rows, seconds: 3 }, { columns: 80, rows: 24 });
  assert.equal(lines[0], 'nodes: node-1 Online');
  assert.match(lines[2] ?? '', /^one +node-1 +running +5\.0 +2\.5 +25$/);
  assert.match(lines[3] ?? '', /^two +node-1 +done +1\.0 +0\.5 +100$/);
  assert.match(lines[4] ?? '', /^three +waiting +$/);
  assert.equal(lines[5], 'total: 1 of 3 done, 1 running, 1 waiting; 6.0 MB, 2.0 MB/s, 3.0 s');
});

for (const size of [
  { columns: 80, rows: 24 },
  { columns: 30, rows: 10 },
]) {
  test(`redrawn in a terminal of ${size.columns} × ${size.rows}, it stands in its place, without a wrap or a line left over`, () => {
    let shown: string[] = [];
    let output = '';
    for (let done = 0; done <= 15; done++) {
      const rows = Array.from({ length: 15 }, (_, index) =>
        row({ activity: `job-${index}-with-a-long-name`, state: index < done ? 'Succeeded' : 'InProgress', bytes: done * 1e6 }),
      );
      // Once the list is shorter, so that a surplus line must go.
      const lines = tableLines({ nodes: ['node-1 Online'], rows: done === 7 ? rows.slice(0, 3) : rows, seconds: done }, size);
      assert.ok(lines.length < size.rows);
      output += redraw(shown, lines);
      shown = lines;
      assert.deepEqual(
        terminal(output, size)
          .map((line) => line.trimEnd())
          .filter((line) => line !== ''),
        lines.map((line) => line.trimEnd()),
      );
    }
  });
}

test('when the terminal is too low, jobs that run or failed are shown first', () => {
  const rows = [
    row({ activity: 'done', state: 'Succeeded' }),
    row({ activity: 'waits', state: 'Queued' }),
    row({ activity: 'bad', state: 'Failed' }),
    row({ activity: 'runs' }),
  ];
  const lines = tableLines({ nodes: [], rows, seconds: 1 }, { columns: 80, rows: 7 });
  assert.deepEqual(
    lines.slice(2, -1).map((line) => line.split(' ')[0]),
    ['bad', 'runs', '…'],
  );
  assert.match(lines.at(-1) ?? '', /1 FAILED/);
});

test('a line that did not change is not written again', () => {
  assert.equal(redraw(['a', 'b'], ['a', 'c']), '\u001b[2A\r\n\rc\u001b[K\r\n');
});
