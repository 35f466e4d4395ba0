import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { leaseSettings } from './lease-settings.ts';
import { leaderOf, leaseTrouble, type Standing } from './lease-state.ts';
import type { ClaimAnswer, InstallAnswer } from './ports.ts';
import { heldSight, LeaseDriver, sight, silentSight } from './testing/lease-driver.ts';

const settings = leaseSettings();
const { leaseMs, renewMs, peekMs, marginMs, stillMs, refusedStillMs, refusedEveryMs, handOverMs } = settings;
const acquire = [{ type: 'acquire' }];
const claimed: ClaimAnswer = { kind: 'claimed', n: 0, life: 'life' };
const installed: InstallAnswer = { kind: 'installed', life: 'life' };

function wanting(masters = 1, standing: Standing = { rank: 0 }): LeaseDriver {
  const driver = new LeaseDriver(masters, standing);
  driver.tell({ type: 'wanted', above: 0 });
  return driver;
}

describe('watching', () => {
  test('looks ten times in a lease, and only looks while nobody wants a grant', () => {
    const driver = new LeaseDriver();
    assert.deepEqual(driver.watch(3 * leaseMs, sight()), []);
    assert.equal(driver.dueInMs, peekMs);
    driver.tell({ type: 'wanted', above: 0 });
    assert.equal(driver.dueInMs, 0);
    assert.deepEqual(driver.peek(sight()), acquire);
    assert.equal(driver.dueInMs, Infinity);
  });

  test('a majority must show no lease', () => {
    const held = heldSight('x', 1);
    assert.deepEqual(wanting(3).peek(sight(), sight(), held), acquire);
    assert.deepEqual(wanting(3).peek(sight(), sight(), silentSight), acquire);
    assert.deepEqual(wanting(3).peek(sight(), held, silentSight), []);
    assert.deepEqual(wanting(3).peek(sight(), silentSight, silentSight), []);
    assert.deepEqual(wanting(5).peek(sight(), sight(), held, silentSight, sight()), acquire);
  });

  test('a master without a life, or with another one, counts when a lease has passed since', () => {
    for (const life of ['', 'another']) {
      const driver = wanting();
      assert.deepEqual(driver.peek(heldSight('x', 1)), []);
      const startMs = driver.nowMs + peekMs;
      assert.deepEqual(driver.watch(2 * leaseMs, sight({ life })), acquire);
      assert.equal(driver.nowMs - startMs, leaseMs, `life '${life}'`);
    }
  });

  test('a missing life is believed only while it is watched', () => {
    const driver = wanting();
    driver.watch(leaseMs - peekMs, sight({ life: '' }));
    driver.nowMs += leaseMs;
    assert.deepEqual(driver.watch(leaseMs - peekMs, sight({ life: '' })), [], 'a process that stood still starts anew');
    assert.deepEqual(driver.watch(leaseMs, sight({ life: '' })), acquire);
  });

  test('with three masters the two that kept their data are enough, one is not', () => {
    const driver = wanting(3);
    const held = heldSight('x', 1);
    driver.peek(held, held, held);
    const lost = sight({ life: '' });
    assert.deepEqual(driver.peek(lost, held, sight()), []);
    assert.deepEqual(driver.peek(lost, sight(), sight()), acquire);
  });

  test('waits as many leases as its rank says', () => {
    for (const rank of [0, 1, 2] as const) {
      const driver = wanting(1, { rank });
      driver.peek(heldSight('x', 1));
      const startMs = driver.nowMs + peekMs;
      assert.deepEqual(driver.watch(4 * leaseMs, sight()), acquire);
      assert.equal(driver.nowMs - startMs, rank * leaseMs);
    }
    assert.deepEqual(wanting(1, { rank: undefined }).watch(9 * leaseMs, sight()), []);
  });

  test('named successor it asks at once, rank or not; when another was named it lets that one go first', () => {
    const driver = wanting(1, { rank: 1 });
    driver.peek(heldSight('x', 1));
    assert.deepEqual(driver.tell({ type: 'invited' }), acquire);
    driver.tell({ type: 'acquired', token: 't', outcome: 'refused', unit: 0.5 });
    assert.equal(driver.dueInMs, peekMs / 5);
    assert.deepEqual(driver.peek(sight()), acquire);
    const banned = wanting(1, { rank: undefined });
    banned.peek(heldSight('x', 1));
    assert.deepEqual(banned.tell({ type: 'invited' }), []);
    const other = wanting();
    other.peek(heldSight('x', 1));
    other.tell({ type: 'othersInvited' });
    const startMs = other.nowMs;
    assert.deepEqual(other.watch(leaseMs, sight()), acquire);
    assert.equal(other.nowMs - startMs, 2 * peekMs);
  });

  test('shows who leads, and why nobody answers', () => {
    const driver = new LeaseDriver(3);
    const self = { nodeId: 'me', address: 'me:1' };
    driver.peek(heldSight('x', 1), heldSight('x', 1), silentSight);
    assert.deepEqual(leaderOf(driver.state, self), { nodeId: 'other', address: 'other:1', epoch: '5.x' });
    driver.watch(leaseMs, silentSight, silentSight, sight());
    assert.equal(leaderOf(driver.state, self)?.nodeId, 'other', 'what was seen last');
    assert.equal(leaseTrouble(driver.state, driver.nowMs, settings), undefined, 'not before a lease has passed');
    driver.watch(2 * peekMs, silentSight, silentSight, sight());
    assert.equal(leaseTrouble(driver.state, driver.nowMs, settings), 'no answer');
    assert.equal(leaderOf(driver.state, self), undefined, 'its lease may have run out unseen');
    driver.peek(heldSight('x', 1), heldSight('y', 1), sight());
    assert.equal(leaderOf(driver.state, self), undefined);
    assert.equal(leaseTrouble(driver.state, driver.nowMs, settings), undefined);
  });
});

describe('ending a dead lease', () => {
  test('its beat stood still for three leases: seized, then acquired without another look', () => {
    const driver = wanting();
    driver.peek(heldSight('x', 7));
    const startMs = driver.nowMs;
    assert.deepEqual(driver.watch(5 * leaseMs, heldSight('x', 7)), [{ type: 'seize', token: 'x', beats: [7] }]);
    assert.equal(driver.nowMs - startMs, stillMs);
    assert.deepEqual(driver.tell({ type: 'seized', token: 'x', ended: true }), acquire);
  });

  test('not while it moves, nor when another lease has come, nor a larger epoch', () => {
    const driver = wanting();
    for (let beat = 0; beat < 20; beat++) assert.deepEqual(driver.watch(renewMs, heldSight('x', beat)), []);
    assert.deepEqual(driver.watch(stillMs - peekMs, heldSight('x', 20)), []);
    assert.deepEqual(driver.watch(stillMs - peekMs, heldSight('y', 20)), []);
    const lead = { n: 6, token: 'y', nodeId: 'other', address: '', beat: 20 };
    assert.deepEqual(driver.watch(stillMs - peekMs, sight({ leaseToken: 'y', lead })), []);
  });

  test('time in which we did not look, or nobody answered, does not count', () => {
    const driver = wanting();
    driver.watch(stillMs - 2 * peekMs, heldSight('x', 7));
    driver.watch(leaseMs, silentSight);
    assert.deepEqual(driver.watch(stillMs - 2 * peekMs, heldSight('x', 7)), []);
    driver.nowMs += stillMs;
    assert.deepEqual(driver.watch(stillMs - 2 * peekMs, heldSight('x', 7)), []);
  });

  test('a candidate that died before it installed anything is ended too, on whichever masters', () => {
    const driver = wanting(3);
    const effects = driver.watch(5 * leaseMs, heldSight('x', undefined), heldSight('x', undefined), sight());
    assert.deepEqual(effects, [{ type: 'seize', token: 'x', beats: [undefined, undefined, undefined] }]);
    driver.tell({ type: 'seized', token: 'x', ended: false });
    assert.equal(driver.dueInMs, peekMs);
  });

  test('refused by its machine: at once when the beat is old enough, else as soon as it is; once in ten seconds', () => {
    const driver = wanting();
    driver.peek(heldSight('x', 7));
    const startMs = driver.nowMs;
    driver.tell({ type: 'leaderGone', nodeId: 'other', refused: true });
    assert.deepEqual(driver.watch(leaseMs, heldSight('x', 7)), [{ type: 'seize', token: 'x', beats: [7] }]);
    assert.equal(driver.nowMs - startMs, refusedStillMs);
    assert.deepEqual(driver.tell({ type: 'seized', token: 'x', ended: true }), acquire);
    driver.tell({ type: 'acquired', token: 't', outcome: 'refused', unit: 0 });
    const endedMs = driver.nowMs;
    driver.peek(heldSight('y', 0));
    driver.watch(leaseMs, heldSight('y', 0));
    driver.tell({ type: 'leaderGone', nodeId: 'other', refused: true });
    assert.deepEqual(driver.watch(leaseMs, heldSight('y', 0)), []);
    for (let beat = 1; driver.nowMs < endedMs + refusedEveryMs; beat++) driver.watch(renewMs, heldSight('y', beat));
    driver.watch(leaseMs, heldSight('y', 999));
    driver.tell({ type: 'leaderGone', nodeId: 'other', refused: true });
    assert.equal(driver.dueInMs, 0, 'its beat is old already');
    assert.deepEqual(driver.peek(heldSight('y', 999)), [{ type: 'seize', token: 'y', beats: [999] }]);
  });

  test('not refused, another node, or a lease that the same node took since: nothing is ended early', () => {
    const driver = wanting();
    driver.watch(leaseMs, heldSight('x', 7));
    driver.tell({ type: 'leaderGone', nodeId: 'other', refused: false });
    driver.tell({ type: 'leaderGone', nodeId: 'third', refused: true });
    assert.deepEqual(driver.watch(leaseMs, heldSight('x', 7)), []);
    driver.peek(heldSight('x', 8));
    driver.tell({ type: 'leaderGone', nodeId: 'other', refused: true });
    assert.deepEqual(driver.watch(leaseMs, heldSight('y', 8)), []);
  });
});

describe('on the way to a grant', () => {
  test('an epoch above all claims, the own memory, and what nodes have told', () => {
    const driver = wanting(3);
    driver.peek(sight(), sight(), sight());
    assert.deepEqual(driver.acquired('t'), [{ type: 'claim', token: 't' }]);
    const effects = driver.claimed('t', claimed, { ...claimed, n: 8 }, { kind: 'silent' });
    assert.deepEqual(effects, [{ type: 'install', epoch: { n: 9, token: 't' } }]);
    const again = driver.installed(9, 't', installed, { kind: 'behind', n: 30 }, installed);
    assert.deepEqual(again, [{ type: 'install', epoch: { n: 31, token: 't' } }]);
    driver.tell({ type: 'wanted', above: 31 });
    assert.deepEqual(driver.installed(31, 't', installed, installed, installed), [{ type: 'install', epoch: { n: 32, token: 't' } }]);
    assert.deepEqual(driver.installed(32, 't', installed, { kind: 'silent' }, installed), [
      { type: 'grant', epoch: { n: 32, token: 't' }, life: 'life,life,life' },
    ]);
    assert.equal(driver.mayAct, true);
  });

  test('given back when no majority that may be believed says that it is ours', () => {
    const answers: ClaimAnswer[][] = [
      [claimed, { kind: 'lost' }, { kind: 'lost' }],
      [claimed, { kind: 'silent' }, { kind: 'silent' }],
      [claimed, { ...claimed, life: '' }, { kind: 'silent' }],
      [claimed, { ...claimed, life: 'another' }, { kind: 'lost' }],
    ];
    for (const each of answers) {
      const driver = wanting(3);
      driver.peek(sight(), sight(), sight());
      driver.acquired('t');
      assert.deepEqual(driver.claimed('t', ...each), [{ type: 'release', token: 't' }]);
      assert.equal(driver.dueInMs, peekMs);
    }
  });

  test('given back when no majority takes the epoch', () => {
    const answers: InstallAnswer[][] = [
      [installed, { kind: 'lost' }, { kind: 'lost' }],
      [installed, { kind: 'lost' }, { kind: 'silent' }],
    ];
    for (const each of answers) {
      const driver = wanting(3);
      driver.peek(sight(), sight(), sight());
      driver.acquired('t');
      driver.claimed('t', claimed, claimed, claimed);
      assert.deepEqual(driver.installed(1, 't', ...each), [{ type: 'release', token: 't' }]);
      assert.equal(driver.mayAct, false);
    }
  });

  test('given back when it took too long, when nobody waits any more, and when the status does not allow it any more', () => {
    const late = wanting();
    late.peek(sight());
    late.nowMs += leaseMs - marginMs;
    assert.deepEqual(late.acquired('t'), [{ type: 'release', token: 't' }]);
    const unwanted = wanting();
    unwanted.peek(sight());
    unwanted.acquired('t');
    unwanted.tell({ type: 'unwanted' });
    assert.deepEqual(unwanted.claimed('t', claimed), [{ type: 'release', token: 't' }]);
    const never = wanting();
    never.peek(sight());
    never.acquired('t');
    never.claimed('t', claimed);
    never.tell({ type: 'standing', standing: { rank: undefined } });
    assert.deepEqual(never.installed(1, 't', installed), [{ type: 'release', token: 't' }]);
  });

  test('answers that come too late are dropped, and a lease that may be ours is given back', () => {
    const driver = wanting();
    driver.peek(sight());
    assert.deepEqual(driver.tell({ type: 'acquired', token: 't', outcome: 'unknown', unit: 0 }), [{ type: 'release', token: 't' }]);
    assert.deepEqual(driver.claimed('t', claimed), []);
    assert.deepEqual(driver.installed(1, 't', installed), []);
    driver.peek(sight());
    assert.deepEqual(driver.tell({ type: 'stop', successor: undefined }), []);
    assert.deepEqual(driver.acquired('u'), [{ type: 'release', token: 'u' }]);
    assert.equal(driver.state.phase, 'stopped');
  });

  test('a try that failed is repeated at a random moment', () => {
    const driver = wanting();
    driver.peek(sight());
    driver.tell({ type: 'acquired', token: 't', outcome: 'refused', unit: 0.25 });
    assert.equal(driver.dueInMs, peekMs / 4);
  });
});

describe('leading', () => {
  test('renewed four times a lease, from when the last one was sent; its time counts from the sending too', () => {
    const driver = new LeaseDriver().lead();
    const startMs = driver.nowMs;
    assert.deepEqual(driver.tick(), [{ type: 'renew', token: 'mine' }]);
    assert.equal(driver.nowMs - startMs, renewMs);
    driver.nowMs += 200;
    assert.deepEqual(driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' }), []);
    assert.equal(driver.dueInMs, 50);
    driver.nowMs = startMs + renewMs + leaseMs - marginMs - 1;
    assert.equal(driver.mayAct, true);
    driver.nowMs += 1;
    assert.equal(driver.mayAct, false);
  });

  test('silent renewals: no effect after lease − margin, the end at the lease', () => {
    const driver = new LeaseDriver().lead();
    const startMs = driver.nowMs;
    for (;;) {
      const effects = driver.tick();
      if (effects[0]?.type !== 'renew') {
        assert.deepEqual(effects, [
          { type: 'ended', epoch: { n: 1, token: 'mine' }, cause: 'silent', successor: undefined }, { type: 'release', token: 'mine' },
        ]);
        break;
      }
      assert.equal(driver.mayAct, driver.nowMs - startMs < leaseMs - marginMs);
      driver.nowMs += 200;
      driver.tell({ type: 'renewed', token: 'mine', outcome: 'silent' });
    }
    assert.equal(driver.nowMs - startMs, leaseMs);
    assert.equal(driver.mayAct, false);
    assert.deepEqual(driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' }), [], 'too late');
  });

  test('a process that stood still for a lease ends, whatever the renewal that it finds says', () => {
    const driver = new LeaseDriver().lead();
    driver.tick();
    driver.nowMs += leaseMs;
    assert.equal(driver.mayAct, false);
    assert.equal(driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' })[0]?.type, 'ended');
  });

  test('told that it is lost: the end, and nothing to give back', () => {
    const driver = new LeaseDriver().lead();
    driver.tick();
    assert.deepEqual(driver.tell({ type: 'renewed', token: 'mine', outcome: 'lost' }), [
      { type: 'ended', epoch: { n: 1, token: 'mine' }, cause: 'lost', successor: undefined },
    ]);
    assert.deepEqual(driver.watch(leaseMs, sight()), [], 'it tries again when it is wanted again');
  });

  test('the clocks moved apart: no effect until a renewal that was sent after has succeeded', () => {
    const driver = new LeaseDriver().lead();
    driver.tick();
    driver.wallOffsetMs += 101;
    assert.equal(driver.mayAct, false);
    driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' });
    assert.equal(driver.mayAct, false, 'that one was sent before');
    driver.tick();
    driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' });
    assert.equal(driver.mayAct, true);
    driver.wallOffsetMs -= 100;
    assert.equal(driver.mayAct, true);
  });

  test('a larger epoch: no effect until it is installed; after a renewal that is under way; again when undecided', () => {
    const driver = new LeaseDriver(3).lead();
    driver.tick();
    assert.deepEqual(driver.tell({ type: 'wanted', above: 6 }), []);
    assert.equal(driver.mayAct, false);
    const first = driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' });
    assert.deepEqual(first, [{ type: 'install', epoch: { n: 7, token: 'mine' } }]);
    assert.deepEqual(driver.installed(7, 'mine', installed, { kind: 'silent' }, { kind: 'silent' }), []);
    assert.equal(driver.mayAct, false);
    driver.tick();
    const again = driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' });
    assert.deepEqual(again, [{ type: 'install', epoch: { n: 8, token: 'mine' } }]);
    const answers: InstallAnswer[] = [installed, { kind: 'installed', life: 'new' }, { kind: 'lost' }];
    assert.deepEqual(driver.installed(8, 'mine', ...answers), [{ type: 'grant', epoch: { n: 8, token: 'mine' }, life: 'life,new,life' }]);
    assert.equal(driver.mayAct, true);
    driver.tell({ type: 'wanted', above: 0 });
    assert.equal(driver.installed(9, 'mine', { kind: 'lost' }, { kind: 'lost' }, installed)[0]?.type, 'ended');
    assert.equal(driver.state.wanted, true, 'who waits for it goes on waiting');
  });

  test('given back: the others go first', () => {
    const driver = new LeaseDriver().lead();
    assert.deepEqual(driver.tell({ type: 'release', token: 'other', successor: 'n2' }), []);
    assert.deepEqual(driver.tell({ type: 'release', token: 'mine', successor: 'n2' }), [
      { type: 'ended', epoch: { n: 1, token: 'mine' }, cause: 'released', successor: 'n2' }, { type: 'release', token: 'mine' },
    ]);
    driver.tell({ type: 'wanted', above: 0 });
    const startMs = driver.nowMs;
    assert.deepEqual(driver.watch(leaseMs, sight()), acquire);
    assert.equal(driver.nowMs - startMs, 2 * peekMs);
  });

  test('a better node: handed over when it has led for ten seconds; a status that forbids it: at once', () => {
    const driver = new LeaseDriver().lead();
    driver.tell({ type: 'standing', standing: { rank: 1, better: 'n2' } });
    const startMs = driver.nowMs;
    for (;;) {
      const [effect] = driver.tick();
      if (effect?.type === 'renew') driver.tell({ type: 'renewed', token: 'mine', outcome: 'renewed' });
      else {
        assert.deepEqual(effect, { type: 'ended', epoch: { n: 1, token: 'mine' }, cause: 'handedOver', successor: 'n2' });
        break;
      }
    }
    assert.equal(driver.nowMs - startMs, handOverMs);
    const other = new LeaseDriver().lead();
    const effects = other.tell({ type: 'standing', standing: { rank: undefined, better: 'n3' } });
    assert.deepEqual(effects[0], { type: 'ended', epoch: { n: 1, token: 'mine' }, cause: 'handedOver', successor: 'n3' });
  });

  test('stopped: given back with the successor, and nothing more', () => {
    const driver = new LeaseDriver().lead();
    assert.deepEqual(driver.tell({ type: 'stop', successor: 'n2' }), [
      { type: 'ended', epoch: { n: 1, token: 'mine' }, cause: 'stopped', successor: 'n2' }, { type: 'release', token: 'mine' },
    ]);
    assert.equal(driver.dueInMs, Infinity);
  });
});
