/** Three controllers that are killed, frozen and cut off at random: no slot without a decision, none decided twice. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { RandomSource, seedFromEnvironment } from '../../support/random.ts';
import { type Controller, ControllerFleet, QUEUE } from './controllers.ts';

const CONTROLLERS = 3;
const SCHEDULES = 200;
const LASTS_MS = 60_000;
/** Longer than a lease. */
const FROZEN_MS = { min: 16_000, max: 22_000 };
const CUT_MS = { min: 3_000, max: 20_000 };
const PAUSE_MS = { min: 1_000, max: 6_000 };

const SPEC = {
  task: 'tick',
  every: '1s',
  concurrencyPolicy: 'Allow',
  missedRunPolicy: 'All',
  maxCatchUp: 60,
  queue: QUEUE,
};

describe('controllers under random faults', () => {
  let fleet: ControllerFleet;
  before(async () => {
    fleet = await ControllerFleet.start();
  });
  after(() => fleet[Symbol.asyncDispose]());

  test(`${CONTROLLERS} controllers, ${SCHEDULES} schedules every second: killed, frozen and cut off for a minute, 0 slots are lost and 0 doubled`, async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const counts = { kill: 0, freeze: 0, cut: 0, 'half-open': 0 };
    const controllers: Controller[] = [];
    for (let index = 0; index < CONTROLLERS; index += 1) controllers.push(await fleet.controller());
    const names = Array.from({ length: SCHEDULES }, (_, index) => `tick-${index}`);
    await fleet.apply(Object.fromEntries(names.map((name) => [name, SPEC])));
    const uids = [...(await fleet.uids()).values()];
    assert.equal(uids.length, SCHEDULES);
    await fleet.settled(uids, await fleet.broker.now());

    const endMs = performance.now() + LASTS_MS;
    await Promise.all(
      controllers.map((_, index) =>
        torment(fleet, controllers, index, new RandomSource(seed + index), endMs, counts),
      ),
    );
    const untilMs = await fleet.broker.now();
    await fleet.settled(uids, untilMs);

    const account = await fleet.account(uids, SPEC.every, untilMs);
    const states = await fleet.queue.schedules.states(uids);
    const fired = states.reduce((sum, state) => sum + (state?.fired ?? 0), 0);
    const active = states.reduce((sum, state) => sum + (state?.active ?? 0), 0);
    t.diagnostic(
      `${JSON.stringify(counts)}; ${account.slots} slots: without a decision ${account.undecided}, doubled ${account.doubled}; fired ${fired}`,
    );
    assert.ok(account.slots >= (SCHEDULES * LASTS_MS) / 1_000, `${account.slots} slots`);
    assert.ok(
      counts.kill > 0 && counts.freeze > 0 && counts.cut + counts['half-open'] > 0,
      JSON.stringify(counts),
    );
    assert.deepEqual(
      { undecided: account.undecided, doubled: account.doubled },
      { undecided: 0, doubled: 0 },
    );
    assert.equal(active, fired, 'each slot that fired has one run in the queue, and no other run is there');
  });
});

type Fault = 'kill' | 'freeze' | 'cut' | 'half-open';

/** Does one thing after another to one of the controllers; leaves it alive and connected. */
async function torment(
  fleet: ControllerFleet,
  controllers: Controller[],
  index: number,
  random: RandomSource,
  endMs: number,
  counts: Record<Fault, number>,
): Promise<void> {
  // Each controller meets another fault first, so that a run of any seed has them all.
  const faults: readonly Fault[] = ['kill', 'freeze', 'cut', 'half-open'];
  for (let turn = 0; performance.now() < endMs; turn += 1) {
    await delay(random.between(PAUSE_MS));
    const controller = controllers[index];
    assert.ok(controller !== undefined);
    const fault = turn === 0 ? faults[index % faults.length] : random.pick(faults);
    if (fault === undefined) continue;
    counts[fault] += 1;
    if (fault === 'kill') {
      controller.process.signal('SIGKILL');
      await controller.process.exited;
      await fleet.end(controller);
      controllers[index] = await fleet.controller();
    } else if (fault === 'freeze') {
      controller.process.signal('SIGSTOP');
      await delay(random.between(FROZEN_MS));
      controller.process.signal('SIGCONT');
    } else {
      controller.wire.mode = fault === 'cut' ? 'refuse' : 'half-open';
      if (fault === 'cut') controller.wire.cut();
      await delay(random.between(CUT_MS));
      controller.wire.mode = 'pass';
      controller.wire.cut();
    }
  }
}
