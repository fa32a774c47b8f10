/** Waking: as many idle consumers as there is work for, no herd, and no wake-up that is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Queue } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, numbered, register, request, settlements } from './work.ts';

/** A consumer as simple as can be: claims, settles, waits to be woken. */
class Loop {
  cycles = 0;
  readonly done: string[] = [];
  readonly #queue: Queue;
  readonly #incarnation: string;

  constructor(queue: Queue, incarnation: string) {
    this.#queue = queue;
    this.#incarnation = incarnation;
  }

  async run(signal: AbortSignal): Promise<void> {
    let settle: ReturnType<typeof settlements> = [];
    while (!signal.aborted) {
      const reply = await this.#queue.work.cycle({
        incarnation: this.#incarnation,
        settle,
        claim: { io: 10, cpu: 0 },
      });
      this.cycles += 1;
      settle = settlements(reply.claimed);
      this.done.push(...reply.claimed.map(({ record }) => record.id));
      if (settle.length === 0 && !reply.moreReady)
        await this.#queue.work.waitForWork(reply.wakeCursor, 5_000, signal);
    }
  }
}

test('one run wakes one of 50 idle consumers: about two claims a run, not fifty', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  const loops = Array.from({ length: 50 }, (_, index) => new Loop(queue, `consumer-${index}`));
  for (let index = 0; index < loops.length; index += 1) await register(queue, `consumer-${index}`);
  const stop = new AbortController();
  const running = loops.map((loop) => loop.run(stop.signal));
  const total = (): number => loops.reduce((sum, loop) => sum + loop.cycles, 0);
  const done = (): number => loops.reduce((sum, loop) => sum + loop.done.length, 0);
  await until('all are idle', () => total() >= 50);
  const startMs = performance.now();
  const before = total();
  const runs = 100;
  for (let run = 1; run <= runs; run += 1) {
    await queue.runs.enqueue([request(`run-${run}`)]);
    await until(`run ${run} is done`, () => done() >= run, { deadlineMs: 10_000 });
  }
  // Each idle consumer also looks by itself every 5 s.
  const backstop = 50 * Math.ceil((performance.now() - startMs) / 5_000);
  const cycles = total() - before;
  stop.abort();
  await Promise.all(running);
  assert.ok(cycles <= 2.5 * runs + backstop, `${cycles} claims for ${runs} runs`);
});

test('work that becomes ready between an empty claim and the wait is not missed', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const { wakeCursor } = await queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 1, cpu: 0 } });
  await queue.runs.enqueue([request('a')]);
  const startMs = performance.now();
  await queue.work.waitForWork(wakeCursor, 5_000, new AbortController().signal);
  assert.ok(performance.now() - startMs < 2_000);
});

test('a consumer that cannot run the task is not woken for it', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'able', { tasks: ['job'] });
  await register(queue, 'unable', { tasks: ['other'] });
  const able = await queue.work.cycle({ incarnation: 'able', settle: [], claim: { io: 1, cpu: 0 } });
  const unable = await queue.work.cycle({ incarnation: 'unable', settle: [], claim: { io: 1, cpu: 0 } });
  const stop = new AbortController();
  let unableWoke = false;
  const waiting = queue.work
    .waitForWork(unable.wakeCursor, 5_000, stop.signal)
    .then(() => (unableWoke = !stop.signal.aborted));
  await queue.runs.enqueue([request('a')]);
  await queue.work.waitForWork(able.wakeCursor, 5_000, new AbortController().signal);
  stop.abort();
  await waiting;
  assert.equal(unableWoke, false);
});

test('a woken consumer that dies leaves the work to another, who is woken by the next recovery pass', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  const cursors = new Map<string, string>();
  for (const incarnation of ['one', 'two']) {
    await register(queue, incarnation);
    const reply = await queue.work.cycle({ incarnation, settle: [], claim: { io: 1, cpu: 0 } });
    cursors.set(incarnation, reply.wakeCursor);
  }
  await queue.runs.enqueue([request('a')]);
  const isWoken = async (incarnation: string): Promise<boolean> =>
    (await server.command('EXISTS', `tidemill:{default}:wake:${incarnation}`)) === ':1\r\n';
  assert.notEqual(await isWoken('one'), await isWoken('two'), 'one run wakes one consumer');
  await queue.work.recover();
  assert.deepEqual([await isWoken('one'), await isWoken('two')], [true, true]);
});

test('one consumer at a time waits for the next due time; when it is gone another does', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await register(queue, 'two');
  await queue.runs.enqueue([request('later', { delayMs: 600_000 })]);
  const due = async (incarnation: string): Promise<number | undefined> =>
    (await queue.work.cycle({ incarnation, settle: [], claim: { io: 1, cpu: 0 } })).nextDueAtMs;
  assert.ok((await due('one')) !== undefined);
  assert.equal(await due('two'), undefined);
  await queue.work.leave('one');
  assert.ok((await due('two')) !== undefined);
});

test('a batch wakes as many as it has runs for, and each that is left behind is passed on', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  for (let index = 0; index < 10; index += 1) {
    await register(queue, `c${index}`);
    await claim(queue, `c${index}`, 1);
  }
  await queue.runs.enqueue(numbered('run', 4));
  assert.equal((await server.command('KEYS', 'tidemill:{default}:wake:*')).split('wake:').length - 1, 4);
});
