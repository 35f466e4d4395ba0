#!/usr/bin/env node
// Starts the CLI under the Node that this product is pinned to, whatever Node runs this file.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = join(dirname(fileURLToPath(import.meta.url)), '..', 'src', 'main.ts');
const major = Number(process.versions.node.split('.', 1)[0]);
const run = () => import(main);

if (major >= 24) {
  await run();
} else {
  let node;
  try {
    const folder = dirname(createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`));
    node = join(folder, 'bin', 'node');
  } catch {
    process.stderr.write(
      `dmg: Cannot start: this is Node ${process.versions.node} and the pinned Node 24 is not installed.\n` +
        "  Run `npm install` in the product's folder, or use Node 24 or later.\n",
    );
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // In a terminal Ctrl-C reaches the child from here as well; it takes twice at once for once.
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`dmg: Cannot start the pinned Node: ${error.message}.\n  Run \`npm install\` in the product's folder.\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const each of signals) process.removeAllListeners(each);
    process.kill(process.pid, signal);
  });
}
