import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

async function run(args: readonly string[], isRead = true): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] } });
  let [out, err] = ['', ''];
  if (isRead) child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  else child.stdout.destroy();
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

test('help is a result, and every command has it', async () => {
  const { code, out, err } = await run(['--help']);
  assert.deepEqual([code, err], [0, '']);
  const commands = [...out.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name ?? '').filter((name) => name !== 'help');
  assert.deepEqual(commands, ['up', 'apply', 'run', 'runs', 'cancel', 'receipt', 'gateway', 'top', 'node']);
  const helps = await Promise.all(commands.map((command) => run([command, '--help'])));
  for (const [index, help] of helps.entries()) {
    assert.equal(help.code, 0);
    assert.match(help.out, new RegExp(`^Usage: dmg ${commands[index]}`));
    assert.match(help.out, /--json/);
  }
});

test('a reader that goes away is no error', async () => {
  assert.deepEqual(await run(['--help'], false), { code: 0, out: '', err: '' });
});
