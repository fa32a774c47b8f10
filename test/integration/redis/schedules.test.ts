/** What only a real Redis can do to schedules: be full, hold a foreign value, lose data. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { FireReply, Queue } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import type { RedisBroker } from '../../../src/broker/redis/redis-broker.ts';
import { fireChunks } from '../../../src/broker/redis/schedules.ts';
import { slotRunId } from '../../../src/task/ids.ts';
import { consumerOf, numbered } from '../../contract/harness.ts';
import {
  adopt,
  adoption,
  decisionsOf,
  firing,
  slot,
  templateOf,
  UID,
} from '../../contract/schedule-steps.ts';
import { RedisServer } from '../../support/redis-server.ts';

const PREFIX = 'tidemill:{work}:';

describe('schedules on Redis', () => {
  let server: RedisServer;
  let broker: RedisBroker;
  let queue: Queue;
  before(async () => {
    server = await RedisServer.start();
    broker = await connectRedis({ url: server.url });
    queue = broker.queue('work');
  });
  after(async () => {
    await broker[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(() => server.flushAll());

  const fireOne = async (
    slotMs: number,
    policy: 'Allow' | 'Forbid' | 'Replace' = 'Allow',
  ): Promise<FireReply | undefined> =>
    (await queue.schedules.fire([firing([slot(slotMs)], { concurrencyPolicy: policy })]))[0];

  test('a full Redis fires nothing and says so, takes edits and withdrawals, and the slot is still owed afterwards', async () => {
    const first = await adopt(queue);
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    try {
      const requests = [
        firing([slot(first.notBeforeMs)]),
        firing([slot(first.notBeforeMs)], { uid: 'another' }),
      ];
      assert.deepEqual(await queue.schedules.fire(requests), [
        { outcome: 'no-memory' },
        { outcome: 'no-memory' },
      ]);
      assert.equal((await queue.schedules.states([UID]))[0]?.watermarkMs, undefined);
      assert.equal((await adopt(queue, { generation: 2, suspended: true })).suspended, true);
      await queue.schedules.withdraw([UID]);
      await adopt(queue, { generation: 3, force: true });
    } finally {
      await server.command('CONFIG', 'SET', 'maxmemory', '0');
    }
    const [state] = await queue.schedules.states([UID]);
    const reply = await queue.schedules.fire([firing([slot(state?.notBeforeMs ?? 0)], { generation: 3 })]);
    assert.deepEqual(reply[0]?.outcome === 'ok' && decisionsOf(reply[0].decisions), ['fired']);
  });

  for (const key of [
    'schedule:uid-1',
    'inflight:uid-1',
    'decisions:uid-1',
    'runs',
    'lane:m:job',
    'delayed',
    'ready:io',
  ]) {
    test(`a wrong-typed value at ${key} makes fire refuse, and nothing is changed`, async () => {
      await consumerOf(queue);
      const { notBeforeMs } = await adopt(queue);
      await server.command('DEL', PREFIX + key);
      await server.command(
        key === 'runs' || key.startsWith('schedule') ? 'LPUSH' : 'SET',
        PREFIX + key,
        'planted',
      );
      const before = await dump(server);
      const delayed = { kind: 'slot', slotMs: notBeforeMs, delayMs: 60_000 } as const;
      const entries = key === 'delayed' ? [delayed] : [slot(notBeforeMs)];
      await assert.rejects(queue.schedules.fire([firing(entries)]), { code: 'BROKER_REFUSED' });
      assert.equal(await dump(server), before);
    });
  }

  test('a schedule whose runs in flight were lost with other data is not blocked for ever', async () => {
    const { notBeforeMs } = await adopt(queue);
    await fireOne(notBeforeMs, 'Forbid');
    await server.command('HDEL', `${PREFIX}runs`, slotRunId(UID, notBeforeMs));
    const reply = await fireOne(notBeforeMs + 1, 'Forbid');
    assert.deepEqual(reply?.outcome === 'ok' && decisionsOf(reply.decisions), ['fired']);
    assert.equal((await queue.schedules.states([UID]))[0]?.active, 1);
  });

  test('a slot whose watermark was lost, but not its run, is a duplicate', async () => {
    const { notBeforeMs } = await adopt(queue);
    await fireOne(notBeforeMs);
    await server.command('HDEL', `${PREFIX}schedule:${UID}`, 'watermarkMs');
    const reply = await fireOne(notBeforeMs);
    assert.deepEqual(reply, {
      outcome: 'ok',
      decisions: [{ decision: 'duplicate' }],
      watermarkMs: notBeforeMs,
    });
    assert.equal((await queue.inspect.stats()).pending, 1);
  });

  test('an old tombstone is dropped by a later withdrawal, with all that hangs on it', async () => {
    const { notBeforeMs } = await adopt(queue);
    await fireOne(notBeforeMs);
    await queue.schedules.withdraw([UID]);
    await server.command('ZADD', `${PREFIX}tombstones`, '1', UID);
    await adopt(queue, { uid: 'another' });
    await queue.schedules.withdraw(['another']);
    assert.deepEqual(await queue.schedules.states([UID]), [undefined]);
    const keys = await dump(server);
    for (const kind of ['schedule', 'inflight', 'decisions', 'eras'])
      assert.ok(!keys.includes(`${kind}:${UID}`), kind);
    assert.ok(keys.includes('schedule:another'));
  });

  test('a thousand schedules are adopted, fired, listed and withdrawn', async () => {
    const uids = Array.from({ length: 1_000 }, (_, index) => `many-${index}`);
    const adopted = await queue.schedules.adopt(uids.map((uid) => adoption({ uid, name: uid })));
    const slotMs = Math.max(
      ...adopted.map((reply) => (reply.outcome === 'adopted' ? reply.state.notBeforeMs : 0)),
    );
    const replies = await queue.schedules.fire(
      uids.map((uid) => firing([slot(slotMs)], { uid, run: templateOf(uid) })),
    );
    assert.equal(replies.filter((reply) => reply.outcome === 'ok').length, 1_000);
    assert.equal((await queue.inspect.stats()).pending, 1_000);
    assert.equal((await queue.schedules.adopted('tests')).length, 1_000);
    await queue.schedules.withdraw(uids);
    assert.deepEqual(await queue.schedules.adopted('tests'), []);
  });

  test('one call of the script gets a bounded number of entries and bytes, and no request is split or reordered', () => {
    const many = Array.from({ length: 1_200 }, (_, index) => firing([slot(index)], { uid: `uid-${index}` }));
    const large = firing(Array.from({ length: 900 }, (_, index) => slot(index)));
    const heavy = firing([slot(1)], { run: { ...templateOf(UID), params: 'x'.repeat(3_000_000) } });
    const chunks = fireChunks([...many, large, heavy, heavy]);
    assert.deepEqual(chunks.flat(), [...many, large, heavy, heavy]);
    for (const chunk of chunks) {
      const entries = chunk.reduce((sum, { entries: own }) => sum + own.length, 0);
      assert.ok(entries <= 500 || chunk.length === 1);
    }
    assert.deepEqual(chunks.slice(-2), [[heavy], [heavy]]);
  });

  test('a search over many records is bounded, pages through, and says so', async () => {
    for (let batch = 0; batch < 6; batch += 1) await queue.runs.enqueue(numbered(`run-${batch}`, 2_000));
    const page = await queue.inspect.runs({
      states: ['failed', 'pending'],
      task: 'job',
      scheduleUid: 'nobody',
      limit: 10,
    });
    assert.deepEqual(page, { runs: [], searched: 10_000, complete: false });
    const found = await queue.inspect.runs({ states: ['pending'], limit: 700 });
    assert.equal(new Set(found.runs.map(({ id }) => id)).size, 700);
    assert.equal(found.complete, false);
  });
});

/** Every key with its value, as text. */
async function dump(server: RedisServer): Promise<string> {
  const script = `
    local lines = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do lines[#lines + 1] = key .. '=' .. redis.sha1hex(redis.call('DUMP', key)) end
    table.sort(lines)
    return table.concat(lines, ' ')`;
  return server.command('EVAL', script, '0');
}
