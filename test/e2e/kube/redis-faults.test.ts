/** Redis is emptied, killed and frozen under load: every slot gets its decision, none twice, and no object says otherwise. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DecisionRecord } from '../../../src/task/schedule-state.ts';
import { slotsOf } from '../../support/slot-account.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet } from './controllers.ts';

const EVERY = '1s';
const TICK_MS = 1_000;
const WORK = { task: 'work', params: { ms: 1 }, every: EVERY, concurrencyPolicy: 'Allow' };
const POLICIES: Readonly<Record<string, object>> = {
  latest: { ...WORK, missedRunPolicy: 'Latest' },
  skip: { ...WORK, missedRunPolicy: 'Skip' },
  all: { ...WORK, missedRunPolicy: 'All', maxCatchUp: 60 },
  deadline: { ...WORK, missedRunPolicy: 'Latest', startingDeadlineSeconds: 5 },
};
const COPIES = 13;
/** Slots at most 30 s late are on time, whatever the policy. */
const SHORT_OUTAGE_MS = 20_000;
const LONG_OUTAGE_MS = 36_000;
/** Its probe tells of an absent Redis within this. */
const NOTICED_MS = 10_000;

interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
  readonly unreadyAfterMs: number;
  readonly readyAfterMs: number;
}

describe('controllers whose Redis fails', () => {
  let fleet: ControllerFleet;
  let controller: Controller;
  let uids: ReadonlyMap<string, string>;
  before(async () => {
    fleet = await ControllerFleet.start({ redis: { aof: true } });
    await fleet.consumer();
    controller = await fleet.controller(['--log-level', 'debug']);
    await fleet.leads(controller);
    const copies = Array.from({ length: COPIES }, (_, index) => index);
    await fleet.apply(
      Object.fromEntries(
        Object.entries(POLICIES).flatMap(([policy, spec]) =>
          copies.map((index) => [`${policy}-${index}`, spec]),
        ),
      ),
    );
    uids = await fleet.uids();
    await fleet.adopted([...uids.values()], 1);
    await fleet.kubectl('wait', '--for=condition=Ready', 'st', '--all', '--timeout=60s');
    await fleet.settled([...uids.values()], (await fleet.broker.now()) + 2 * TICK_MS);
  });
  after(async () => {
    await fleet[Symbol.asyncDispose]();
  });

  const uidsOf = (policy: string): readonly string[] =>
    [...uids].filter(([name]) => name.startsWith(`${policy}-`)).map(([, uid]) => uid);

  /** Slots that this controller was told to have fired, by the names of their schedules. */
  const firedSlots = (): ReadonlyMap<string, readonly string[]> => {
    const slots = new Map<string, string[]>();
    for (const line of controller.process.lines) {
      if (!line.includes('"slot fired"')) continue;
      const [, schedule = ''] = /"schedule":"([^"]+)"/.exec(line) ?? [];
      const [, slot = ''] = /"slot":"([^"]+)"/.exec(line) ?? [];
      slots.set(schedule, [...(slots.get(schedule) ?? []), slot]);
    }
    return slots;
  };

  test(`emptied under load, ${COPIES * 4} schedules go on within two ticks, and no slot is lost or fired twice`, async (t) => {
    const all = [...uids.values()];
    const pauses: number[] = [];
    for (const phaseMs of [0, 350, 700]) {
      await delay(phaseMs);
      const before = await fleet.queue.schedules.states(all);
      await fleet.redis.flushAll();
      const flushedMs = await fleet.broker.now();
      let waiting = all;
      await until('every schedule fires again', async () => {
        const states = await fleet.queue.schedules.states(waiting);
        waiting = waiting.filter((_, index) => (states[index]?.fired ?? 0) === 0);
        return waiting.length === 0;
      });
      pauses.push((await fleet.broker.now()) - flushedMs);
      for (const [index, uid] of all.entries()) {
        const [oldest] = await fleet.queue.schedules.decisions(uid, { limit: 1_000 });
        assert.ok(
          (oldest?.fromMs ?? 0) > (before[index]?.watermarkMs ?? 0),
          'what was settled stays settled',
        );
      }
      await fleet.settled(all, (await fleet.broker.now()) + TICK_MS);
    }
    const fired = firedSlots();
    let slots = 0;
    let lost = 0;
    let doubled = 0;
    for (const times of fired.values()) {
      const own = new Set(times);
      const instants = [...own].map((time) => Date.parse(time));
      const expected = slotsOf(EVERY, Math.min(...instants), Math.max(...instants) + 1);
      slots += expected.length;
      lost += expected.length - own.size;
      doubled += times.length - own.size;
    }
    t.diagnostic(
      `all fire again after ${pauses.map(Math.round).join(', ')} ms; ${slots} slots: lost ${lost}, fired twice ${doubled}`,
    );
    assert.equal(fired.size, all.length);
    assert.deepEqual({ lost, doubled }, { lost: 0, doubled: 0 });
    // Two ticks, and what a busy machine adds.
    assert.ok(Math.min(...pauses) <= 2 * TICK_MS + 500, pauses.join(', '));
    assert.ok(Math.max(...pauses) <= 2 * TICK_MS + 3_000, pauses.join(', '));
  });

  /** Takes Redis away for a while, watching probes and objects. */
  const outage = async (
    lastsMs: number,
    begin: () => void | Promise<void>,
    end: () => void | Promise<void>,
  ): Promise<Outage> => {
    const probe = async (path: string): Promise<number> => (await fetch(`${controller.http}${path}`)).status;
    const conditions = (): Promise<string> =>
      fleet.kubectl(
        ...['get', 'st', '-o'],
        'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[*].status} {.status.conditions[*].reason} {.status.conditions[*].lastTransitionTime}{"\\n"}{end}',
      );
    // An emptied Redis knows no consumer until it registers again, and the controller looks every 10 s.
    const scheduled = '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Scheduled';
    await fleet.kubectl('wait', scheduled, 'st', '--all', '--timeout=40s');
    const before = await conditions();
    const fromMs = await fleet.broker.now();
    const beganMs = performance.now();
    const changes: string[] = [];
    const look = async (): Promise<void> => {
      assert.equal(await probe('/healthz'), 200, 'a restart would not bring Redis back');
      if ((await conditions()) !== before)
        changes.push(`after ${Math.round(performance.now() - beganMs)} ms`);
    };
    await begin();
    await until('it is not ready', async () => (await probe('/readyz')) === 503, {
      deadlineMs: NOTICED_MS + 10_000,
    });
    const unreadyAfterMs = Math.round(performance.now() - beganMs);
    while (performance.now() < beganMs + lastsMs) {
      await look();
      assert.equal(await probe('/readyz'), 503);
      await delay(1_000);
    }
    await end();
    const endedMs = performance.now();
    await until('it is ready again', async () => (await probe('/readyz')) === 200);
    const readyAfterMs = Math.round(performance.now() - endedMs);
    const toMs = await fleet.broker.now();
    await fleet.settled([...uids.values()], toMs);
    // The time in which a status would follow.
    const watchedUntilMs = performance.now() + 4_000;
    while (performance.now() < watchedUntilMs) {
      await look();
      await delay(500);
    }
    assert.deepEqual(changes, [], `no object changes its conditions\n${before}\n${await conditions()}`);
    assert.ok(controller.process.running);
    assert.ok(unreadyAfterMs <= NOTICED_MS, `not ready after ${unreadyAfterMs} ms`);
    return { fromMs, toMs, unreadyAfterMs, readyAfterMs };
  };

  /** How the slots of an outage were decided, over all copies of a policy; each exactly once. */
  const decided = async (
    policy: string,
    { fromMs, toMs }: Outage,
  ): Promise<Readonly<Record<string, number>>> => {
    const counts: Record<string, number> = {};
    const slots = slotsOf(EVERY, fromMs, toMs);
    for (const uid of uidsOf(policy)) {
      const records = await fleet.queue.schedules.decisions(uid, { fromMs, toMs, limit: 1_000 });
      const holds = (slotMs: number) => (record: DecisionRecord) =>
        record.fromMs <= slotMs && slotMs <= record.toMs;
      for (const slotMs of slots) {
        const [record, ...more] = records.filter(holds(slotMs));
        assert.ok(record !== undefined, `${policy}: ${new Date(slotMs).toISOString()} has a decision`);
        assert.deepEqual(more, []);
        const how = record.reason ?? record.decision;
        counts[how] = (counts[how] ?? 0) + 1;
      }
    }
    return counts;
  };

  test('killed and started again after 20 s, nothing is missed but by a deadline', async (t) => {
    const span = await outage(
      SHORT_OUTAGE_MS,
      () => fleet.redis.kill(),
      () => fleet.redis.restart(),
    );
    t.diagnostic(`not ready after ${span.unreadyAfterMs} ms, ready again after ${span.readyAfterMs} ms`);
    for (const policy of ['latest', 'skip', 'all']) {
      const counts = await decided(policy, span);
      t.diagnostic(`${policy}: ${JSON.stringify(counts)}`);
      assert.deepEqual(Object.keys(counts), ['fired'], 'no slot is more than 30 s late');
    }
    const counts = await decided('deadline', span);
    t.diagnostic(`deadline of 5 s: ${JSON.stringify(counts)}`);
    assert.deepEqual(Object.keys(counts).toSorted(), ['DeadlineExceeded', 'fired']);
    const leastLate = (SHORT_OUTAGE_MS - 6_000) / TICK_MS;
    assert.ok((counts['DeadlineExceeded'] ?? 0) >= COPIES * leastLate, JSON.stringify(counts));
  });

  test('frozen for longer than a slot may be late, each policy settles what it missed', async (t) => {
    const span = await outage(
      LONG_OUTAGE_MS,
      () => fleet.redis.freeze(),
      () => fleet.redis.thaw(),
    );
    t.diagnostic(`not ready after ${span.unreadyAfterMs} ms, ready again after ${span.readyAfterMs} ms`);
    const expected = { latest: 'Superseded', skip: 'Late', all: 'CatchUp', deadline: 'DeadlineExceeded' };
    for (const [policy, reason] of Object.entries(expected)) {
      const counts = await decided(policy, span);
      t.diagnostic(`${policy}: ${JSON.stringify(counts)}`);
      assert.deepEqual(Object.keys(counts).toSorted(), [reason, 'fired']);
      assert.ok((counts[reason] ?? 0) >= COPIES, policy);
    }
  });
});
