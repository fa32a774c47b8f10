/** The key builders of TypeScript and those of the Lua library name the same keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { encodeManifestHash, queueKeys } from '../../../src/broker/redis/keys.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { claim, numbered, register, request, settlements } from './work.ts';

const FAILURE = { reason: 'Error', name: 'Error', message: 'it broke' } as const;

/** Every name that a builder can make, its arguments replaced by what they may be. */
function knownNames(keys: ReturnType<typeof queueKeys>): readonly RegExp[] {
  const escape = (text: string): string => text.replaceAll(/[{}.$()*+?[\]\\^|]/g, String.raw`\$&`);
  return Object.values(keys).map((builder: unknown) => {
    if (typeof builder === 'string') return new RegExp(`^${escape(builder)}$`);
    assert.ok(typeof builder === 'function');
    const example = String(Reflect.apply(builder, undefined, ['ARGUMENT', 'ARGUMENT']));
    return new RegExp(`^${escape(example).replaceAll('ARGUMENT', '.+')}$`);
  });
}

test('every key that the scripts make is one that keys.ts names, in the slot of the queue', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url, prefix: 'mine' });
  const queue = broker.queue('work');
  const redis = new Redis(server.port, '127.0.0.1');
  try {
    await register(queue, 'idle');
    await claim(queue, 'idle');
    await register(queue, 'one', { maxConcurrency: 5 });
    await queue.runs.enqueue([...numbered('run', 20), request('uid@run-now.1')]);
    await queue.runs.enqueue(numbered('later', 2, { delayMs: 60_000, expiresInMs: 1 }));
    await queue.runs.cancel(['run-19'], 'why');
    const held = await claim(queue, 'one', 5);
    await queue.work.cycle({
      incarnation: 'one',
      settle: settlements(held.slice(0, 2), { kind: 'failed', error: FAILURE }),
    });
    await queue.runs.redrive([held[0]?.record.id ?? '']);
    await queue.runs.cancel([held[3]?.record.id ?? ''], 'why');
    const names = knownNames(queueKeys('mine', 'work'));
    const keys = (await redis.keys('mine:*')).filter((key) => key !== 'mine:queues');
    assert.ok(keys.length > 20);
    assert.deepEqual(
      keys.filter((key) => !names.some((name) => name.test(key))),
      [],
    );
    assert.deepEqual(
      keys.filter((key) => !key.startsWith('mine:{work}:')),
      [],
    );
    assert.equal(await redis.exists(queueKeys('mine', 'work').held('one')), 1);
    const hash = encodeManifestHash((await queue.inspect.manifests())[0]?.manifest.hash ?? '');
    assert.equal(await redis.exists(queueKeys('mine', 'work').manifest(hash)), 1);
  } finally {
    redis.disconnect();
  }
});
