import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { createScreen } from './screen.ts';

/** The two ends of a terminal: what was written to it, and keys. */
class FakeTerminal extends EventEmitter {
  isTTY = true;
  columns = 20;
  rows = 3;
  written = '';
  raw: boolean | undefined;
  flowing = false;

  write(text: string): boolean {
    this.written += text;
    return true;
  }

  hasColors(): boolean {
    return false;
  }

  setRawMode(raw: boolean): this {
    this.raw = raw;
    return this;
  }

  resume(): this {
    this.flowing = true;
    return this;
  }

  pause(): this {
    this.flowing = false;
    return this;
  }
}

function open(): { terminal: FakeTerminal; screen: ReturnType<typeof createScreen>; quits: () => number } {
  const terminal = new FakeTerminal();
  let quits = 0;
  const screen = createScreen({ stdout: terminal, stdin: terminal, onQuit: () => void quits++ });
  return { terminal, screen, quits: () => quits };
}

test('the terminal gets its cursor, its first screen and its keyboard back', () => {
  const { terminal, screen } = open();
  assert.equal(terminal.written, '\u001b[?1049h\u001b[?25l');
  assert.deepEqual([terminal.raw, terminal.flowing], [true, true]);
  screen.close();
  screen.close();
  assert.equal(terminal.written, '\u001b[?1049h\u001b[?25l\u001b[?25h\u001b[?1049l');
  assert.deepEqual([terminal.raw, terminal.flowing], [false, false]);
  assert.deepEqual([terminal.listenerCount('data'), terminal.listenerCount('resize')], [0, 0]);
});

test('a picture is drawn over the one before, cut to the height, and again when the size changes', () => {
  const { terminal, screen } = open();
  terminal.written = '';
  screen.show(({ columns, rows }) => [`${columns}`, `${rows}`, 'three', 'four']);
  assert.equal(terminal.written, '\u001b[H20\u001b[K\r\n3\u001b[K\r\nthree\u001b[K\u001b[J');
  terminal.written = '';
  terminal.columns = 7;
  terminal.emit('resize');
  assert.match(terminal.written, /^\u001b\[H7/);
  screen.close();
});

test('q and Ctrl-C quit, other keys do nothing', () => {
  const { terminal, screen, quits } = open();
  for (const key of ['x', '\u001b[A', 'q', '\u0003']) terminal.emit('data', Buffer.from(key));
  assert.equal(quits(), 2);
  screen.close();
  terminal.emit('data', Buffer.from('q'));
  assert.equal(quits(), 2);
});
