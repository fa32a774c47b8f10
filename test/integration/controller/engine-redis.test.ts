/** The schedule engine on a real Redis that is frozen, killed and emptied, with engines that vanish: every slot decided once. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Broker } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { MeasuredBroker } from '../../../src/cli/measured-broker.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import type { DecisionRecord } from '../../../src/task/schedule-state.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { type EngineHandle, ObjectStore, startEngine } from '../../support/schedule-world.ts';
import { until } from '../../support/until.ts';

const SCHEDULES = 20;
const SECOND = 1_000;

describe('the schedule engine on Redis', () => {
  let server: RedisServer;
  let broker: Broker;
  const engines: EngineHandle[] = [];
  const store = new ObjectStore();

  before(async () => {
    server = await RedisServer.start({ aof: true });
    // As the commands have it.
    broker = new MeasuredBroker(await connectRedis({ url: server.url }), systemClock, {
      answered: () => undefined,
      reconnected: () => undefined,
      enqueued: () => undefined,
      enqueueRefused: () => undefined,
      refused: () => undefined,
    });
    for (let i = 0; i < SCHEDULES; i += 1)
      store.create(`s${i}`, { every: '1s', missedRunPolicy: 'All', concurrencyPolicy: 'Allow' });
    for (let i = 0; i < 3; i += 1) engines.push(startEngine(systemClock, store, broker));
  });
  after(async () => {
    await Promise.all(engines.map((engine) => engine.stop()));
    await broker[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const recordsOf = (uid: string): Promise<readonly DecisionRecord[]> =>
    broker.queue('default').schedules.decisions(uid, { limit: 1_000 });
  const settledThrough = async (): Promise<number> => {
    const uids = store.all().map(({ uid }) => uid);
    const states = await broker.queue('default').schedules.states(uids);
    return Math.min(...states.map((state) => state?.watermarkMs ?? 0));
  };
  /** Waits until every schedule has decided all slots up to an instant that lies ahead. */
  const settle = async (aheadMs: number): Promise<void> => {
    const targetMs = (await broker.now()) + aheadMs;
    await until(`all to be settled through ${new Date(targetMs).toISOString()}`, async () => {
      try {
        return (await settledThrough()) >= targetMs - SECOND;
      } catch {
        return false;
      }
    });
  };
  /** Slots are seconds: the records of a schedule must cover each from first to last exactly once. */
  const assertWhole = async (): Promise<number> => {
    let slots = 0;
    for (const { uid } of store.all()) {
      let expectedMs: number | undefined;
      for (const { fromMs, toMs, count } of await recordsOf(uid)) {
        assert.equal(
          fromMs,
          expectedMs ?? fromMs,
          `${uid} has a hole or a double before ${new Date(fromMs).toISOString()}`,
        );
        assert.equal(count, (toMs - fromMs) / SECOND + 1);
        expectedMs = toMs + SECOND;
        slots += count;
      }
    }
    return slots;
  };

  test('three engines fire each slot once, and one that is stopped changes nothing', async () => {
    await settle(2 * SECOND);
    await engines.pop()?.stop();
    await settle(2 * SECOND);
    await assertWhole();
  });

  test('a Redis that stands still, and then dies, costs no slot and doubles none', async (t) => {
    server.freeze();
    await new Promise((resolve) =>
      systemClock.after(6 * SECOND, () => {
        resolve(undefined);
      }),
    );
    server.thaw();
    await settle(2 * SECOND);
    // Let the journal reach the disk, so that what was acknowledged is there again.
    await settle(2 * SECOND);
    await server.kill();
    await server.restart();
    await settle(3 * SECOND);
    t.diagnostic(`${await assertWhole()} slots, without a decision 0, decided twice 0`);
  });

  test('after a reconnect that no call of it noticed, an engine reads back what Redis has lost', async () => {
    const uids = store.all().map(({ uid }) => `tidemill:{default}:schedule:${uid}`);
    const regressed = (): number =>
      engines.flatMap(({ events }) => events.filter((event) => event.startsWith('regressed'))).length;
    const before = regressed();
    await settle(SECOND);
    // In the quiet after a slot: the next one would move the watermarks on, and nothing could be seen any more.
    await until('the middle of a second', async () => {
      const ms = (await broker.now()) % SECOND;
      return ms > 200 && ms < 500;
    });
    const lose = `for _, key in ipairs(KEYS) do redis.call('HINCRBY', key, 'watermarkMs', -2000) end`;
    await server.command('EVAL', lose, String(uids.length), ...uids);
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await until('the engines noticed', () => regressed() > before, { deadlineMs: 10_000 });
    await settle(2 * SECOND);
    await assertWhole();
  });

  test('an emptied Redis has all schedules back within two ticks, and the gap is caught up', async () => {
    await settle(SECOND);
    const beforeMs = await settledThrough();
    await server.flushAll();
    await settle(3 * SECOND);
    await assertWhole();
    for (const { uid } of store.all()) {
      const firstMs = (await recordsOf(uid))[0]?.fromMs ?? 0;
      assert.ok(
        firstMs >= beforeMs - SECOND && firstMs <= beforeMs + 2 * SECOND,
        `${uid} goes on at ${new Date(firstMs).toISOString()}`,
      );
    }
  });
});
