/** Hours of faults in seconds: an installation whose processes, lines and Redis fail in every order that a seed draws. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Book } from './book.ts';
import { drawPlan, type Plan } from './plan.ts';
import { findFailure, replayCommand } from './report.ts';
import { RunLedger } from './run-ledger.ts';
import { shrink, without } from './shrink.ts';
import { type Found, simulate } from './simulate.ts';

/** In CI; thousands by `npm run simulate`. */
const SEEDS = 200;

describe('the simulation', () => {
  test('no promise is broken, whatever crashes, freezes, is cut off or loses its writes', async (t) => {
    const { failedSeed, breach, counts } = await findFailure({ from: 1, seeds: SEEDS });
    if (failedSeed !== undefined) assert.fail(`${breach ?? ''}\nagain: ${replayCommand(failedSeed)}`);
    t.diagnostic(`${SEEDS} seeds: ${JSON.stringify(counts)}`);
    // What was not tried was not shown.
    for (const [what, count] of Object.entries(counts)) assert.ok(count > 0, `no ${what} in all seeds`);
  });

  test('a seed is one story: the same faults, the same calls, the same outcome each time', async () => {
    const [first, second] = [await simulate(drawPlan(7)), await simulate(drawPlan(7))];
    assert.deepEqual(first, second);
  });

  test('a failing plan shrinks to the actions that make it fail, at the instants at which they were', async () => {
    const plan = drawPlan(3);
    const guilty = [plan.actions[4], plan.actions[20]];
    const atMs = (of: Plan, verbs: typeof guilty): number[] =>
      verbs.map((wanted) => {
        const index = of.actions.findIndex(({ which }) => which === wanted?.which);
        return of.actions.slice(0, index + 1).reduce((sum, { afterMs }) => sum + afterMs, 0);
      });
    const run = async ({ actions }: Plan): Promise<Found> => {
      const isGuilty = guilty.every((one) => actions.some(({ which }) => which === one?.which));
      const breaches = isGuilty ? [{ promise: 'P1', text: 'both were done', atMs: 0 } as const] : [];
      return { ...NOTHING, breaches };
    };
    const least = await shrink(plan, run);
    assert.deepEqual(
      least.plan.actions.map(({ which }) => which),
      guilty.map((one) => one?.which),
    );
    assert.deepEqual(atMs(least.plan, guilty), atMs(plan, guilty));
    assert.equal(least.found.breaches.length, 1);
  });

  test('a short absence of Redis excuses nobody who is dead, and costs nobody a lease who is well', () => {
    /** Ended after 11 s of silence, in which Redis was away for so long. */
    const breachesOf = (awayMs: number, isWell: boolean): readonly string[] => {
      const clock = { nowMs: 0 };
      const book = new Book(() => clock.nowMs);
      const ledger = new RunLedger({
        ...{ book, now: () => clock.nowMs, isInnocent: () => isWell, limitOf: () => undefined },
        awayMs: (_from, _to, leastMs) => (awayMs > leastMs ? awayMs : 0),
      });
      ledger.registered('an-incarnation', 'consumer-1');
      clock.nowMs = 11_000;
      ledger.endedByRecovery('an-incarnation');
      return book.breaches.map(({ text }) => text);
    };
    assert.deepEqual(breachesOf(4_000, false), []);
    assert.match(breachesOf(4_000, true).join('; '), /was well and ended: it was silent for 11000 ms/);
    assert.match(breachesOf(6_000, false).join('; '), /although it was silent for 5000 ms only/);
  });

  test('leaving actions out keeps the time at which the next one happens', () => {
    const plan = drawPlan(5);
    const [first, second, third] = plan.actions;
    const [left] = without(plan, 0, 2).actions;
    assert.equal(left?.afterMs, (first?.afterMs ?? NaN) + (second?.afterMs ?? NaN) + (third?.afterMs ?? NaN));
  });
});

const NOTHING: Found = {
  breaches: [],
  actionsDone: 0,
  counts: {
    ...{ events: 0, calls: 0, slots: 0, fired: 0, runs: 0, attempts: 0, acknowledged: 0, ended: 0 },
    ...{ recovered: 0, deadLettered: 0, acknowledgedLost: 0, firedAgainAfterLoss: 0 },
  },
};
