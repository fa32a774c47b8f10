/** A claim that waits in Redis behind the read of a wake stream: made once or never, whatever becomes of its connection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CycleReply, Queue } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { queueKeys } from '../../../src/broker/redis/keys.ts';
import { type Clock, systemClock } from '../../../src/runtime/clock.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { RedisServer, type ServerOptions } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, codeOf, durationMs, register, request } from './work.ts';

const { wake } = queueKeys('tidemill', 'default');

interface Waiting {
  readonly reply: Promise<CycleReply | undefined>;
  readonly callOff: () => void;
}

/** Claims nothing, and then waits with a claim for one run. */
async function waitIdle(queue: Queue, incarnation: string): Promise<Waiting> {
  const slots = { io: 1, cpu: 0 };
  const { wakeCursor } = await queue.work.cycle({ incarnation, settle: [], claim: slots });
  const controller = new AbortController();
  const reply = queue.work.claimWhenWoken(
    wakeCursor,
    { incarnation, claim: slots },
    5_000,
    controller.signal,
  );
  return { reply, callOff: () => controller.abort() };
}

const blockedClients = async (server: RedisServer): Promise<number> =>
  Number(/blocked_clients:(\d+)/.exec(await server.command('INFO', 'clients'))?.[1]);

const isBlocked = (server: RedisServer): Promise<unknown> =>
  until('the consumer waits in Redis', async () => (await blockedClients(server)) === 1);

/** A server, and a consumer whose claim waits in it; all that they say goes through a proxy. */
async function startIdle(options: ServerOptions = {}, clock: Clock = systemClock) {
  await using started = new AsyncDisposableStack();
  const server = started.use(await RedisServer.start(options));
  const proxy = started.use(await FaultProxy.start(server.port));
  const broker = started.use(await connectRedis({ url: proxy.url, clock }));
  const queue = broker.queue('default');
  await register(queue, 'one');
  const waiting = await waitIdle(queue, 'one');
  await isBlocked(server);
  const parts = started.move();
  return {
    ...{ server, proxy, broker, queue, ...waiting },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Ends every connection whose client waits in Redis, as a network would. */
async function cutWaiting(server: RedisServer): Promise<void> {
  const clients = await server.command('CLIENT', 'LIST');
  for (const [, id = ''] of clients.matchAll(/^id=(\d+) .*\bcmd=xread\b/gm))
    await server.command('CLIENT', 'KILL', 'ID', id);
}

test('the run comes with the wake-up: Redis is called once for it, and that before it came', async () => {
  await using first = await startIdle();
  const { server, queue } = first;
  first.callOff();
  await first.reply;
  // The server knows the scripts from here on.
  const { reply } = await waitIdle(queue, 'one');
  await isBlocked(server);
  const scriptCalls = async (): Promise<number> =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await server.command('INFO', 'commandstats'))?.[1]);
  const before = await scriptCalls();
  await queue.runs.enqueue([request('a')]);
  assert.equal((await reply)?.claimed[0]?.record.id, 'a');
  assert.equal((await scriptCalls()) - before, 2, 'the enqueue, and the claim that had been sent before');
});

test('the connection is cut while a claim waits: it is told at once, is not made later, and the next one waits again', async () => {
  await using idle = await startIdle();
  const { server, queue, reply } = idle;
  const outcome = codeOf(reply);
  const toldMs = durationMs(outcome);
  await cutWaiting(server);
  assert.equal(await outcome, 'BROKER_UNAVAILABLE');
  assert.ok((await toldMs) < 2_000);
  await queue.runs.enqueue([request('a')]);
  assert.deepEqual((await queue.work.held('one')).runs, []);
  assert.equal((await claim(queue, 'one')).length, 1);
  const again = await waitIdle(queue, 'one');
  await isBlocked(server);
  await queue.runs.enqueue([request('b')]);
  assert.equal((await again.reply)?.claimed[0]?.record.id, 'b');
});

test('Redis is killed while a claim waits: the claim is not sent a second time to the one that takes its place', async () => {
  await using idle = await startIdle({ aof: true });
  const { server, broker, queue, reply } = idle;
  const outcome = codeOf(reply);
  await server.kill();
  assert.equal(await outcome, 'BROKER_UNAVAILABLE');
  await server.restart();
  await until('the broker is connected again', () => broker.connected);
  await queue.runs.enqueue([request('a')]);
  const { wakeCursor } = await queue.work.cycle({ incarnation: 'one', settle: [] });
  // The connection of the wait is there again, and what was sent on the one before would have been sent by now.
  await queue.work.waitForWork(wakeCursor, 300, new AbortController().signal);
  assert.deepEqual((await queue.work.held('one')).runs, []);
  assert.equal((await claim(queue, 'one')).length, 1);
});

test('a claim that waits in a frozen Redis cannot be called off: it ends all the same, as one that may have been made', async () => {
  await using idle = await startIdle();
  const { server, queue, reply, callOff } = idle;
  server.freeze();
  const outcome = codeOf(reply);
  callOff();
  assert.ok((await durationMs(outcome)) < 5_500);
  assert.equal(await outcome, 'BROKER_UNAVAILABLE');
  server.thaw();
  const again = await until('the next one waits', async () => {
    try {
      return await waitIdle(queue, 'one');
    } catch {
      return undefined;
    }
  });
  await queue.runs.enqueue([request('a')]);
  assert.equal((await again.reply)?.claimed[0]?.record.id, 'a');
});

test('the answer of a claim that was called off is lost: it ends within two seconds, as one that may have been made', async () => {
  await using idle = await startIdle();
  const { proxy, reply, callOff } = idle;
  const outcome = codeOf(reply);
  proxy.dropNextReply(/:wake:one/);
  callOff();
  assert.ok((await durationMs(outcome)) < 2_000);
  assert.equal(await outcome, 'BROKER_UNAVAILABLE');
});

test('a claim that is called off after its incarnation was ended leaves nothing behind', async () => {
  await using idle = await startIdle();
  const { server, reply, callOff } = idle;
  await using other = await connectRedis({ url: server.url });
  await other.queue('default').work.leave('one');
  callOff();
  assert.equal(await reply, undefined);
  assert.equal(await server.command('EXISTS', wake('one')), ':0\r\n');
  await until('its connection is closed', async () => (await blockedClients(server)) === 0);
});

test('a claim can be made behind a read that an earlier wait has left, and waits no longer than that', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const slots = { io: 1, cpu: 0 };
  const { wakeCursor } = await queue.work.cycle({ incarnation: 'one', settle: [], claim: slots });
  const stop = new AbortController();
  const waiting = queue.work.waitForWork(wakeCursor, 5_000, stop.signal);
  await isBlocked(server);
  stop.abort();
  await waiting;
  const { reply } = await waitIdle(queue, 'one');
  await queue.runs.enqueue([request('a')]);
  assert.equal((await reply)?.claimed[0]?.record.id, 'a');
});

test('a server that forgot the scripts is given the claim again, and it claims', async () => {
  await using idle = await startIdle();
  const { server, queue, reply } = idle;
  await server.command('SCRIPT', 'FLUSH');
  await queue.runs.enqueue([request('a')]);
  assert.equal((await reply)?.claimed[0]?.record.id, 'a');
});

test('a process that stood still does not believe the answer of a claim from before', async () => {
  let aheadMs = 0;
  const clock: Clock = {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() + aheadMs,
    after: (delayMs, callback) => systemClock.after(delayMs, callback),
    sleep: (delayMs, signal) => systemClock.sleep(delayMs, signal),
  };
  await using idle = await startIdle({}, clock);
  const { queue, reply } = idle;
  const outcome = codeOf(reply);
  aheadMs = 60_000;
  await queue.runs.enqueue([request('a')]);
  assert.equal(await outcome, 'BROKER_UNAVAILABLE');
  assert.equal((await queue.work.held('one')).runs.length, 1, 'the comparison finds it, and gives it back');
});

test('a user who may not read the wake stream claims no oftener than it looks by itself', async () => {
  await using server = await RedisServer.start();
  await server.command('ACL', 'SETUSER', 'default', '-xread');
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const slots = { io: 1, cpu: 0 };
  const wait = (): Promise<unknown> =>
    queue.work.claimWhenWoken('one', { incarnation: 'one', claim: slots }, 800, new AbortController().signal);
  await wait();
  assert.ok((await durationMs(wait())) > 700);
});
