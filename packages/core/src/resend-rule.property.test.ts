import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type AliveEvidence, decideResend, defaultResendOptions, observeAlive, type ResendWatch, watchSent } from './resend-rule.ts';

const options = { quietMs: 60_000, contactGapMs: 15_000, ageMaxMs: 1_000_000_000 };
const sendNo = 10;

interface Step {
  readonly afterMs: number;
  readonly report: Omit<AliveEvidence, 'nowMs'> | undefined;
}

const dispatcher = fc.record({ receivedUpTo: fc.integer({ min: 8, max: 12 }), queueEmpty: fc.boolean() });
const quietDispatcher = fc.constantFrom({ receivedUpTo: 12, queueEmpty: false }, { receivedUpTo: 0, queueEmpty: true });
/** Mostly the reports of a gateway that lost the job, so that long quiet stretches come up, with everything else strewn in. */
const step: fc.Arbitrary<Step> = fc.record({
  afterMs: fc.oneof({ weight: 12, arbitrary: fc.constant(5000) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 30_000 }) }),
  report: fc.oneof(
    { weight: 30, arbitrary: fc.record({ named: fc.constant(false), dispatcher: quietDispatcher }) },
    { weight: 3, arbitrary: fc.record({ named: fc.constant(false), dispatcher: fc.constant(undefined) }) },
    { weight: 1, arbitrary: fc.record({ named: fc.boolean(), dispatcher: fc.option(dispatcher, { nil: undefined }) }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
});

/** The rule as a sentence, searched by brute force over all that happened since the send. */
function maySend(history: readonly AliveEvidence[], nowMs: number, resends: number): boolean {
  const neededMs = options.quietMs * 2 ** resends;
  const contacts = history.filter((each) => each.dispatcher !== undefined);
  return contacts.some((first, index) => {
    if (nowMs - first.nowMs < neededMs) return false;
    const stretch = contacts.slice(index);
    const times = [...stretch.map((each) => each.nowMs), nowMs];
    const gapless = times.every((time, at) => at === 0 || time - (times[at - 1] ?? 0) <= options.contactGapMs);
    const taken = stretch.every(
      (each) => each.dispatcher !== undefined && (each.dispatcher.receivedUpTo >= sendNo || each.dispatcher.queueEmpty),
    );
    const unnamed = history.slice(history.indexOf(first)).every((each) => !each.named);
    return gapless && taken && unnamed;
  });
}

function run(
  steps: readonly Step[], resends: number, at: (watch: ResendWatch, history: readonly AliveEvidence[], nowMs: number) => void,
): void {
  let watch = watchSent(sendNo, resends);
  const history: AliveEvidence[] = [];
  let nowMs = 0;
  for (const { afterMs, report } of steps) {
    nowMs += afterMs;
    at(watch, history, nowMs);
    if (report !== undefined) {
      history.push({ ...report, nowMs });
      watch = observeAlive(watch, { ...report, nowMs }, options);
    }
    at(watch, history, nowMs);
  }
}

test('sends again exactly when, for D without a gap, the gateway was in contact, nobody named it and the message was taken out', () => {
  let sent = 0;
  fc.assert(fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), fc.integer({ min: 0, max: 2 }), (steps, resends) => {
    run(steps, resends, (watch, history, nowMs) => {
      const decision = decideResend(watch, { nowMs, runAgeMs: 0 }, options);
      if (decision === 'resend') sent += 1;
      assert.equal(decision === 'resend', maySend(history, nowMs, resends), `at ${nowMs}`);
    });
  }), { numRuns: 2000 });
  assert.ok(sent > 100, `only ${sent} decisions to send came up`);
});

test('a lost job is sent again soon after D, then after 2 D and 4 D, and not any more when the run is too old', () => {
  const sends: number[] = [];
  let watch = watchSent(sendNo, 0);
  for (let nowMs = 0; nowMs <= 600_000; nowMs += 1000) {
    if (nowMs % 5000 === 0) watch = observeAlive(
      watch, { nowMs, named: false, dispatcher: { receivedUpTo: 99, queueEmpty: false } }, options,
    );
    if (decideResend(watch, { nowMs, runAgeMs: 0 }, options) !== 'resend') continue;
    sends.push(nowMs);
    watch = watchSent(sendNo, watch.resends + 1);
  }
  // A watch begins with the first report after its send, so each delay is D · 2^n and at most one report interval.
  assert.deepEqual(sends, [60_000, 185_000, 430_000]);
  const old = observeAlive(watchSent(sendNo, 0), { nowMs: 0, named: false, dispatcher: { receivedUpTo: 99, queueEmpty: false } }, options);
  assert.equal(
    decideResend({ ...old, lastContactMs: 60_000 }, { nowMs: 60_000, runAgeMs: defaultResendOptions.ageMaxMs + 1 }, {
      ...options, ageMaxMs: defaultResendOptions.ageMaxMs,
    }),
    'expire',
  );
});

test('ten thousand messages that wait behind each other through an outage of two D are sent at most twice', () => {
  const messages = 10_000;
  const watches = new Map(Array.from({ length: messages }, (_each, index) => [index + 1, watchSent(index + 1, 0)]));
  const sends = new Map([...watches.keys()].map((no) => [no, 1]));
  const tickMs = 5000;
  const perTick = 250;
  for (let nowMs = 0, received = 0; nowMs < 40 * tickMs + 4 * options.quietMs; nowMs += tickMs) {
    const away = nowMs >= 10 * tickMs && nowMs < 10 * tickMs + 2 * options.quietMs;
    // The dispatcher goes on receiving while the control plane is away; what it received it names until it ends a little later.
    const ended = received - 8;
    received = Math.min(messages, received + perTick);
    for (const no of [...watches.keys()]) if (no <= ended) watches.delete(no);
    if (away) continue;
    for (const [no, watch] of watches) {
      const restarted = nowMs === 10 * tickMs + 2 * options.quietMs ? watchSent(no, watch.resends) : watch;
      const seen = observeAlive(
        restarted, { nowMs, named: no <= received, dispatcher: { receivedUpTo: received, queueEmpty: received === messages } }, options,
      );
      watches.set(no, seen);
      if (decideResend(seen, { nowMs, runAgeMs: nowMs }, options) === 'resend') sends.set(no, (sends.get(no) ?? 0) + 1);
    }
  }
  assert.ok(Math.max(...sends.values()) <= 2);
});
