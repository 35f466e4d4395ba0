import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findMissingDeadlines, type OutsideFile, outsideLines } from './deadline-rule.ts';
import { isTestFile, listFiles } from './source-tree.ts';
import { parseTypeScript } from './syntax-tree.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const fileOf = (path: string, text: string): OutsideFile => ({ path, text, tree: parseTypeScript(text) });

/** What stands in for the cloud is the other end of calls, and the test rig's own business. */
const notAdapters = /^packages\/(?:local-cloud|tooling)\//;

test('every file of the product that talks to the outside has a deadline for it', () => {
  const files = listFiles(root)
    .filter((path) => /^packages\/.*\/src\/(?!generated\/).*\.ts$/.test(path) && !isTestFile(path) && !notAdapters.test(path))
    .map((path) => fileOf(path, readFileSync(join(root, path), 'utf8')));
  const talking = files.filter(({ tree }) => outsideLines(tree).length > 0);
  assert.ok(files.length > 150 && talking.length >= 6, `${files.length} files were read, ${talking.length} talk to the outside`);
  assert.deepEqual(findMissingDeadlines(files), []);
});

test('what talks to the outside is found, and what only looks like it is not', () => {
  const found = (text: string): boolean => findMissingDeadlines([fileOf('packages/p/src/x.ts', text)], []).length > 0;
  const bad = [
    "import { connect } from 'node:net';", "import { connect as dial } from 'node:tls';", "import * as net from 'net';",
    "import net from 'node:net';",
    "import { Agent, request } from 'node:https';", "import { Redis } from 'ioredis';", "import Redlock from 'redlock';",
    "import { ServiceBusClient, type Other } from '@azure/service-bus';", "import { Client } from '@grpc/grpc-js';", "import pg from 'pg';",
    "import { lookup } from 'node:dns/promises';", 'await fetch(url);', 'new WebSocket(url);',
    "import { withDeadline } from '@dmg/base'; import { connect } from 'node:net'; connect(1);",
  ];
  for (const text of bad) assert.ok(found(text), text);
  const good = [
    "import { createServer, type Socket } from 'node:net';", "import type { Redis } from 'ioredis';", "import { isIP } from 'node:net';",
    "import { Agent } from 'node:https';", "import { isServiceBusError } from '@azure/service-bus';", 'this.fetch(url); options.fetch();',
    "import { withDeadline } from '@dmg/base'; import { connect } from 'node:net'; withDeadline(o, () => connect(1));",
    "import { connect } from './net.ts';",
  ];
  for (const text of good) assert.ok(!found(text), text);
});

test('an entry of the table excuses its file as long as its deadline stands there, and no longer', () => {
  const table = [{ path: 'packages/p/src/x.ts', text: 'commandTimeout', why: 'the client has one of its own' }];
  const using = (text: string): string[] => findMissingDeadlines([fileOf('packages/p/src/x.ts', text)], table);
  assert.deepEqual(using("import { Redis } from 'ioredis'; new Redis({ commandTimeout: 1 });"), []);
  assert.equal(using("import { Redis } from 'ioredis'; new Redis({});").length, 2);
  assert.match(using('const commandTimeout = 1;')[0] ?? '', /does not need its entry/);
});

test('calls of the blob SDK hand on the signal of their deadline', () => {
  const lines = (text: string): string[] => findMissingDeadlines([fileOf('packages/connectors/azure-blob/src/x.ts', text)], []);
  assert.deepEqual(lines('store.call(c, (abortSignal) => blob.getProperties({ abortSignal }));'), []);
  assert.equal(lines('await client.\n  stageBlock(id, body, 3);').length, 1);
  assert.equal(lines('await this.#blob(path).getProperties();').length, 1);
  assert.deepEqual(findMissingDeadlines([fileOf('packages/p/src/x.ts', 'blob.download()')], []), []);
});
