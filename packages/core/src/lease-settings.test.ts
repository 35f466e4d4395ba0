import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DmgError } from '@dmg/base';
import { checkLeaseSettings, type LeaseSettings, leaseSettings } from './lease-settings.ts';

function refusal(settings: LeaseSettings, roundTripP99Ms?: number): DmgError {
  let refused: unknown;
  try {
    checkLeaseSettings(settings, roundTripP99Ms);
  } catch (error) {
    refused = error;
  }
  assert.ok(refused instanceof DmgError, 'it is refused');
  assert.equal(refused.code, 'DMG_CORE_LEASE_SETTINGS');
  assert.equal(refused.category, 'config');
  return refused;
}

test('the default is a lease of one second, renewed four times, and it is safe', () => {
  const settings = leaseSettings();
  assert.deepEqual([settings.leaseMs, settings.renewMs, settings.peekMs, settings.marginMs], [1_000, 250, 100, 100]);
  checkLeaseSettings(settings);
  checkLeaseSettings(settings, 250);
  checkLeaseSettings(leaseSettings({ leaseMs: 600 }));
  checkLeaseSettings(leaseSettings({ leaseMs: 30_000, renewMs: 10_000 }), 7_500);
});

test('a margin grows with the lease and never falls below 100 ms', () => {
  assert.equal(leaseSettings({ leaseMs: 600 }).marginMs, 100);
  assert.equal(leaseSettings({ leaseMs: 5_000 }).marginMs, 500);
});

test('refused with what, why and the remedy', () => {
  const short = refusal(leaseSettings({ leaseMs: 599 }));
  assert.match(short.message, /leaseMs = 599: .*600/);
  assert.match(short.fix, /Set leaseMs to 600 or more/);
  const seldom = refusal(leaseSettings({ renewMs: 334 }));
  assert.match(seldom.message, /renewMs = 334: /);
  assert.match(seldom.fix, /333 or less/);
  const slow = refusal(leaseSettings(), 250.5);
  assert.match(slow.message, /leaseMs = 1000: Redis answers within 251 ms/);
  assert.match(slow.fix, /nearer.*1002 or more/);
});

test('what was changed by hand is checked as well', () => {
  const settings = leaseSettings();
  assert.match(refusal({ ...settings, peekMs: 500 }).message, /peekMs = 500/);
  assert.match(refusal({ ...settings, marginMs: 99 }).message, /marginMs = 99/);
  assert.match(refusal({ ...settings, marginMs: 800 }).message, /marginMs = 800/);
  for (const value of [0, -1, NaN, Infinity]) assert.match(refusal({ ...settings, stillMs: value }).message, /stillMs/);
});
