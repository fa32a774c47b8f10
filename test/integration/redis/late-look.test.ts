/** A process that stood still must not take its own silence for that of Redis. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Connection } from '../../../src/broker/redis/connection.ts';
import { RedisServer } from '../../support/redis-server.ts';

const LIMIT_MS = 300;

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('a call whose answer came while the event loop stood still is answered, although its time is over', async () => {
  await using server = await RedisServer.start();
  await using connection = new Connection({ url: server.url }, { timeoutMs: LIMIT_MS });
  await connection.call('warm up', (client) => client.time());
  const answer = connection.call('ask the time', (client) => client.time());
  // The request leaves in this turn, so that the answer comes while nobody reads it.
  await new Promise((resolve) => setImmediate(resolve));
  standStill(4 * LIMIT_MS);
  assert.equal((await answer).length, 2);
});

test('a call that Redis does not answer is given up, also after the event loop stood still', async () => {
  await using server = await RedisServer.start();
  await using connection = new Connection({ url: server.url }, { timeoutMs: LIMIT_MS });
  await connection.call('warm up', (client) => client.time());
  assert.ok(server.pid !== undefined);
  process.kill(server.pid, 'SIGSTOP');
  try {
    const answer = connection.call('ask the time', (client) => client.time());
    const given = assert.rejects(answer, { code: 'BROKER_UNAVAILABLE' });
    standStill(4 * LIMIT_MS);
    await given;
  } finally {
    process.kill(server.pid, 'SIGCONT');
  }
});
