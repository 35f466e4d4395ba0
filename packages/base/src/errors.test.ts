import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asDmgError, baseErrors, defineErrors, DmgError, firstLine, hasCode, isDmgError } from './errors.ts';

const errors = defineErrors('FIXTURE', {
  LOGIN_FAILED: {
    category: 'config',
    retry: 'never',
    scope: 'job',
    message: 'Cannot log in to {server} as {user}: {server} refused.',
    fix: 'Check the password of {user}.',
  },
  FULL: { category: 'transient', retry: 'backoff', scope: 'attempt', message: 'Cannot write: the disk is full.', fix: 'Make room.' },
});

test('an error has a stable code, its axes, and its text with all places filled', () => {
  const error = errors.LOGIN_FAILED.create({ server: 'db1', user: 'reader' });
  assert.equal(error.code, 'DMG_FIXTURE_LOGIN_FAILED');
  assert.equal(errors.LOGIN_FAILED.code, error.code);
  assert.deepEqual([error.category, error.retry, error.scope], ['config', 'never', 'job']);
  assert.equal(error.message, 'Cannot log in to db1 as reader: db1 refused.');
  assert.equal(error.fix, 'Check the password of reader.');
  assert.equal(errors.FULL.create().message, 'Cannot write: the disk is full.');
});

test('what is filled in is taken as it is', () => {
  const error = errors.LOGIN_FAILED.create({ server: '$& {user}', user: '{server}' });
  assert.equal(error.message, 'Cannot log in to $& {user} as {server}: $& {user} refused.');
});

test('a fault is the same after a journey, and says what lay behind it', () => {
  const root = new Error('ECONNRESET\nsecond line', { cause: new AggregateError([new Error('socket closed')]) });
  const error = errors.FULL.create({ path: '/data', free: 0 }, { cause: root });
  const fault = error.toFault();
  assert.equal(fault.detail, 'ECONNRESET <- AggregateError <- socket closed');
  const travelled = new DmgError(JSON.parse(JSON.stringify(fault)) as typeof fault);
  assert.deepEqual(travelled.toFault(), fault);
  assert.equal('stack' in fault, false);
  assert.equal(errors.FULL.create({}, { detail: 'errno 28', cause: root }).toFault().detail, 'errno 28');
  assert.equal('detail' in errors.FULL.create().toFault(), false);
});

test('errors are told by code, also those of another copy of this package', () => {
  const error: unknown = errors.FULL.create();
  assert.ok(isDmgError(error) && hasCode(error, 'DMG_FIXTURE_FULL') && !hasCode(error, 'DMG_FIXTURE_LOGIN_FAILED'));
  const foreign = Object.defineProperty(new Error('x'), Symbol.for('dmg.error'), { value: true });
  assert.ok(isDmgError(foreign));
  for (const other of [new Error('x'), undefined, null, 'text', {}, { code: 'DMG_FIXTURE_FULL' }]) assert.equal(isDmgError(other), false);
});

test('anything thrown becomes an error of ours, without failing itself', () => {
  const known = errors.FULL.create();
  assert.equal(asDmgError(known), known);
  const strange: unknown[] = [
    new TypeError('no such thing\nat line 3'),
    'text',
    undefined,
    null,
    7,
    Symbol('s'),
    Object.create(null),
    () => undefined,
  ];
  for (const value of strange) {
    const error = asDmgError(value);
    assert.equal(error.code, baseErrors.UNEXPECTED.code);
    assert.ok(!error.message.includes('\n') && error.message.startsWith('Cannot go on'), error.message);
    error.toFault();
  }
  assert.match(asDmgError(strange[0]).message, /\(no such thing\)/);
  assert.equal(asDmgError(strange[0]).cause, strange[0]);
});

test('the first line of an error is one that says something', () => {
  assert.equal(firstLine(new Error('\n\nExpected 2\nbut was 3')), 'Expected 2');
  assert.equal(firstLine(new TypeError('')), 'TypeError');
  assert.equal(firstLine('one\r\ntwo'), 'one');
});

test('a chain of causes that bites its tail ends', () => {
  const first = new Error('first');
  first.cause = new Error('second', { cause: first });
  assert.equal(errors.FULL.create({}, { cause: first }).toFault().detail, 'first <- second <- first <- second <- first');
});
