/** The life of objects on a real API server: created, edited, suspended, resumed, deleted, made again. Nothing fires retroactively, twice, or for what is gone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { slotAccount, sumOf } from '../../support/slot-account.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet } from './controllers.ts';

const WORK = { task: 'work', params: { ms: 1 }, concurrencyPolicy: 'Allow' };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** What a change needs from the API server to the queue, on a busy machine. */
const SEEN_MS = 2_000;

const EraSpecSchema = z.object({ every: z.string() });

const iso = (ms: number): string => new Date(ms).toISOString();
const seconds = (ms: number): string => iso(ms).replace(/\.\d{3}Z$/, 'Z');

describe('the life of objects', () => {
  let fleet: ControllerFleet;
  let controller: Controller;
  /** A neighbour that is never touched: what it has decided tells how far the controller is. */
  let metronome: string;
  before(async () => {
    fleet = await ControllerFleet.start();
    await fleet.consumer();
    controller = await fleet.controller();
    await fleet.leads(controller);
    await fleet.apply({ metronome: { ...WORK, every: '500ms' } });
    metronome = await fleet.uidOf('metronome');
  });
  after(async () => {
    await fleet[Symbol.asyncDispose]();
  });

  /** Waits until a controller has decided all that was due for this long from now on. */
  const passes = async (ms: number): Promise<void> =>
    fleet.settled([metronome], (await fleet.broker.now()) + ms);

  const uidsOf = async (names: readonly string[]): Promise<readonly string[]> => {
    const uids = await fleet.uids();
    return names.map((name) => uids.get(name) ?? assert.fail(`${name} exists`));
  };
  const decisions = (uid: string) => fleet.queue.schedules.decisions(uid, { limit: 1_000 });

  const apply = async (names: readonly string[], spec: object): Promise<void> =>
    fleet.apply(Object.fromEntries(names.map((name) => [name, { ...WORK, ...spec }])));

  /** Every slot of every era has one decision, by the spec of that era; a suspended one has none. */
  const accountByEra = async (uids: readonly string[], nowMs: number) => {
    const accounts = [];
    for (const uid of uids) {
      const records = await decisions(uid);
      for (const { generation, fromMs, untilMs = nowMs, suspended, spec } of await fleet.queue.schedules.eras(
        uid,
      )) {
        const own = records.filter((record) => record.generation === generation);
        const outside = own.filter(
          (record) => record.fromMs < fromMs || (record.toMs >= untilMs && untilMs < nowMs),
        );
        assert.deepEqual(outside, [], `generation ${generation}: ${iso(fromMs)} to ${iso(untilMs)}`);
        const { every } = EraSpecSchema.parse(JSON.parse(spec));
        if (suspended) assert.deepEqual(own, []);
        else accounts.push(await slotAccount(fleet.queue, uid, every, { generation, fromMs, untilMs }));
      }
    }
    return sumOf(accounts);
  };

  test('edits, suspensions and resumptions: each slot is decided once, by the spec in force, and none afterwards', async (t) => {
    const names = Array.from({ length: 12 }, (_, index) => `edited-${index}`);
    await apply(names, { every: '500ms' });
    const uids = await uidsOf(names);
    const steps = [
      { every: '500ms' },
      { every: '700ms' },
      { every: '700ms', suspend: true },
      { every: '300ms' },
      { every: '300ms', suspend: true },
      { every: '300ms' },
    ];
    for (const [index, step] of steps.entries()) {
      if (index > 0) await apply(names, step);
      await fleet.adopted(uids, index + 1);
      await passes(1_500);
    }
    const nowMs = await fleet.broker.now();
    await fleet.settled(uids, nowMs);
    const account = await accountByEra(uids, nowMs);
    t.diagnostic(
      `${names.length} objects, ${steps.length} generations, ${account.slots} slots: without a decision ${account.undecided}, doubled ${account.doubled}`,
    );
    assert.ok(account.slots > names.length * 15);
    assert.deepEqual(
      { undecided: account.undecided, doubled: account.doubled },
      { undecided: 0, doubled: 0 },
    );
    for (const uid of uids) assert.equal((await fleet.queue.schedules.eras(uid)).length, steps.length);
    // A run for each slot that fired, and no other.
    const fired = async (): Promise<boolean> => {
      const states = await fleet.queue.schedules.states(uids);
      return states.every((state) => state !== undefined && state.fired === state.succeeded + state.active);
    };
    await until('each fired slot has one run', fired);
    await fleet.kubectl('delete', 'st', ...names);
  });

  test('what is deleted fires no more and is withdrawn at once; made again under its name it starts afresh', async (t) => {
    const names = ['gone', 'again'];
    await apply(names, { every: '500ms' });
    const [gone, first] = await uidsOf(names);
    assert.ok(gone !== undefined && first !== undefined);
    await fleet.adopted([gone, first], 1);
    await passes(1_500);
    await fleet.kubectl('delete', 'st', ...names);
    const deletedMs = await fleet.broker.now();
    await apply(['again'], { every: '500ms' });
    const second = await fleet.uidOf('again');
    await until('the deleted ones are withdrawn', async () => {
      const states = await fleet.queue.schedules.states([gone, first]);
      return states.every((state) => state?.withdrawn === true);
    });
    const withdrawnMs = (await fleet.broker.now()) - deletedMs;
    await fleet.adopted([second], 1);
    await passes(2_000);
    const newestOf = async (uid: string): Promise<number> => (await decisions(uid)).at(-1)?.toMs ?? 0;
    const newest = Math.max(await newestOf(gone), await newestOf(first));
    t.diagnostic(
      `withdrawn ${withdrawnMs} ms after the deletion; newest slot ${newest - deletedMs} ms after it`,
    );
    assert.ok(newest <= deletedMs + SEEN_MS, iso(newest));
    const [era] = await fleet.queue.schedules.eras(second);
    const [oldest] = await decisions(second);
    assert.ok(era !== undefined && oldest !== undefined);
    assert.ok(era.fromMs >= deletedMs && oldest.fromMs >= era.fromMs, 'nothing from before it was made');
    const untilMs = await fleet.broker.now();
    await fleet.settled([second], untilMs);
    const { undecided, doubled } = await slotAccount(fleet.queue, second, '500ms', {
      fromMs: era.fromMs,
      untilMs,
    });
    assert.deepEqual({ undecided, doubled }, { undecided: 0, doubled: 0 });
    await fleet.kubectl('delete', 'st', 'again');
  });

  test('what was deleted, made again, edited or suspended while no controller ran is so for the next one', async (t) => {
    const names = ['absent', 'remade', 'changed', 'paused', 'kept'];
    await apply(names, { every: '500ms', missedRunPolicy: 'All', maxCatchUp: 60 });
    const uids = await uidsOf(names);
    const [absent = '', remade = '', changed = '', paused = '', kept = ''] = uids;
    await fleet.adopted(uids, 1);
    await passes(1_500);
    await fleet.stop(controller);
    const stoppedMs = await fleet.broker.now();
    const before = await Promise.all([absent, remade].map(decisions));
    await fleet.kubectl('delete', 'st', 'absent', 'remade');
    await apply(['remade'], { every: '700ms' });
    await apply(['changed'], { every: '700ms' });
    await apply(['paused'], { every: '500ms', suspend: true });
    controller = await fleet.controller();
    await fleet.leads(controller);
    const second = await fleet.uidOf('remade');
    await fleet.adopted([second], 1);
    await fleet.adopted([changed, paused], 2);
    await passes(2_000);
    await until('what nobody saw going is withdrawn', async () => {
      const states = await fleet.queue.schedules.states([absent, remade]);
      return states.every((state) => state?.withdrawn === true);
    });
    assert.deepEqual(await Promise.all([absent, remade].map(decisions)), before, 'nothing for what is gone');

    const untilMs = await fleet.broker.now();
    await fleet.settled([second, changed, kept], untilMs);
    const account = await accountByEra([second, changed, paused, kept], untilMs);
    const [closing] = (await decisions(changed)).filter(({ reason }) => reason === 'Edited');
    const [resting] = (await decisions(paused)).filter(({ reason }) => reason === 'Edited');
    t.diagnostic(
      `${untilMs - stoppedMs} ms; ${account.slots} slots: without a decision ${account.undecided}, doubled ${account.doubled}; missed as Edited ${closing?.count ?? 0} and ${resting?.count ?? 0}`,
    );
    assert.deepEqual(
      { undecided: account.undecided, doubled: account.doubled },
      { undecided: 0, doubled: 0 },
    );
    assert.equal(closing?.decision, 'missed', 'what the old spec owed is missed, not fired');
    assert.equal(resting?.decision, 'missed');
    const [era] = await fleet.queue.schedules.eras(second);
    assert.ok((era?.fromMs ?? 0) > stoppedMs);
    await fleet.kubectl('delete', 'st', 'remade', 'changed', 'paused', 'kept');
  });

  test('a change of zone fires no slot that the new zone had a moment ago, or earlier today', async () => {
    const nowMs = await fleet.broker.now();
    const slots = {
      'moved-now': Math.floor(nowMs / MINUTE_MS) * MINUTE_MS,
      'moved-today': Math.floor(nowMs / MINUTE_MS - 20) * MINUTE_MS,
    };
    // An hour ahead of UTC the slot was at that instant; by UTC it is an hour later.
    const cronOf = (slotMs: number): string => {
      const at = new Date(slotMs + 60 * MINUTE_MS);
      return `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;
    };
    const names = Object.keys(slots);
    const specs = (zone: string): Record<string, object> =>
      Object.fromEntries(
        Object.entries(slots).map(([name, slotMs]) => [
          name,
          { ...WORK, schedule: cronOf(slotMs), timeZone: zone },
        ]),
      );
    const nextOf = async (name: string): Promise<string | undefined> =>
      (await fleet.object(name)).status?.nextScheduleTime;
    await fleet.apply(specs('Etc/UTC'));
    const uids = await uidsOf(names);
    await fleet.adopted(uids, 1);
    for (const [name, slotMs] of Object.entries(slots)) {
      await until(
        'the next slot is told',
        async () => (await nextOf(name)) === seconds(slotMs + 60 * MINUTE_MS),
      );
    }
    await fleet.apply(specs('Etc/GMT-1'));
    await fleet.adopted(uids, 2);
    await passes(2_000);
    for (const [index, [name, slotMs]] of Object.entries(slots).entries()) {
      assert.deepEqual(await decisions(uids[index] ?? ''), [], name);
      await until(
        'the next slot is that of tomorrow',
        async () => (await nextOf(name)) === seconds(slotMs + DAY_MS),
        { describe: () => `${name}: wanted ${seconds(slotMs + DAY_MS)}` },
      );
    }
    await fleet.kubectl('delete', 'st', ...names);
  });

  test('startTime and endTime bound what fires, an edit of them fires nothing of the past, and the end is told', async (t) => {
    const createdMs = await fleet.broker.now();
    const startMs = Math.ceil(createdMs / 1_000) * 1_000 + 4_000;
    const endMs = startMs + 3_000;
    const every = '500ms';
    await fleet.apply({
      past: { ...WORK, every, startTime: seconds(createdMs - DAY_MS) },
      window: { ...WORK, every, startTime: seconds(startMs), endTime: seconds(endMs) },
      over: { ...WORK, every, endTime: seconds(createdMs - DAY_MS) },
      later: { ...WORK, every, startTime: seconds(createdMs + DAY_MS) },
    });
    const [past = '', window = '', over = '', later = ''] = await uidsOf(['past', 'window', 'over', 'later']);
    await fleet.adopted([past, window, over, later], 1);
    await fleet.kubectl(
      ...['wait', '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Completed'],
      ...['st/over', 'st/window', '--timeout=30s'],
    );
    const [oldest] = await decisions(past);
    const [era] = await fleet.queue.schedules.eras(past);
    assert.ok(
      oldest !== undefined && era !== undefined && oldest.fromMs >= era.fromMs,
      'not before it was made',
    );
    const account = await slotAccount(fleet.queue, window, every, { fromMs: startMs, untilMs: endMs + 1 });
    const inWindow = await decisions(window);
    t.diagnostic(
      `${account.slots} slots in the window: without a decision ${account.undecided}, doubled ${account.doubled}`,
    );
    assert.deepEqual(account, { slots: 7, undecided: 0, doubled: 0 });
    assert.equal(inWindow.at(0)?.fromMs, startMs);
    assert.equal(inWindow.at(-1)?.toMs, endMs);
    assert.deepEqual(await decisions(over), []);
    assert.deepEqual(await decisions(later), []);
    const ended = await fleet.object('window');
    assert.equal(ended.status?.nextScheduleTime, undefined);
    const ready = ended.status?.conditions?.find(({ type }) => type === 'Ready');
    assert.deepEqual([ready?.status, ready?.reason], ['True', 'Completed']);

    // Another day for the one, and none to wait for the other: both go on from the edit.
    const editedMs = await fleet.broker.now();
    await fleet.apply({ over: { ...WORK, every }, later: { ...WORK, every } });
    await fleet.adopted([over, later], 2);
    await passes(1_500);
    for (const uid of [over, later]) {
      const [first] = await decisions(uid);
      assert.ok(first !== undefined && first.fromMs >= editedMs, 'nothing from before the edit');
      assert.equal(first.reason, undefined);
    }
    await fleet.kubectl(
      ...['wait', '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Scheduled'],
      ...['st/over', 'st/later', '--timeout=30s'],
    );
    await fleet.kubectl('delete', 'st', 'past', 'window', 'over', 'later');
  });
});
