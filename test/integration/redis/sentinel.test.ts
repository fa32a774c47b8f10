/** Sentinel: producers and consumers follow the master, whether it is moved or dies, and nothing hangs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue } from '../../../src/broker/broker.ts';
import { createClient } from '../../../src/broker/redis/client.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { SentinelGroup } from '../../support/sentinels.ts';
import { until } from '../../support/until.ts';
import { register, request, settlements } from './work.ts';

const LONGEST_CALL_MS = 5_500;
const LONGEST_OUTAGE_MS = 10_000;

/** Enqueues and consumes one run after the other, whatever happens, and notes what was answered. */
class Traffic implements AsyncDisposable {
  readonly acknowledged: string[] = [];
  readonly ended = new Set<string>();
  longestCallMs = 0;
  readonly #queue: Queue;
  readonly #stop = new AbortController();
  readonly #loops: Promise<unknown>;

  constructor(queue: Queue) {
    this.#queue = queue;
    this.#loops = Promise.all([this.#produce(), this.#consume()]);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#loops;
  }

  /** Also when the test has failed: loops that go on would keep the process from ending. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    return Promise.resolve();
  }

  /** Resolves when, from now on, so many were acknowledged and something was consumed. */
  async goesOn(what: string): Promise<void> {
    const [acknowledged, ended] = [this.acknowledged.length, this.ended.size];
    await until(what, () => this.acknowledged.length >= acknowledged + 5 && this.ended.size > ended, {
      deadlineMs: LONGEST_OUTAGE_MS,
    });
  }

  async #produce(): Promise<void> {
    for (let number = 0; !this.#stop.signal.aborted; number += 1) {
      const id = `run-${number}`;
      const outcomes = await this.#timed(() => this.#queue.runs.enqueue([request(id)]));
      if (outcomes !== undefined) this.acknowledged.push(id);
      await sleep(5);
    }
  }

  async #consume(): Promise<void> {
    let settle: ReturnType<typeof settlements> = [];
    while (!this.#stop.signal.aborted || settle.length > 0) {
      const request = { incarnation: 'one', settle, claim: { io: 100, cpu: 0 } };
      const reply = await this.#timed(() => this.#queue.work.cycle(request));
      if (reply === undefined) continue;
      for (const [index, { id }] of settle.entries())
        if (reply.settled[index] === 'settled') this.ended.add(id);
      settle = settlements(reply.claimed);
      await sleep(5);
    }
  }

  /** `undefined` when the call failed. */
  async #timed<T>(call: () => Promise<T>): Promise<T | undefined> {
    const startMs = performance.now();
    try {
      return await call();
    } catch {
      await sleep(20);
      return undefined;
    } finally {
      this.longestCallMs = Math.max(this.longestCallMs, performance.now() - startMs);
    }
  }
}

test('a client follows a failover that was asked for and one after the master was killed', async () => {
  await using group = await SentinelGroup.start();
  await using broker = await connectRedis(group.address);
  const queue = broker.queue('default');
  await register(queue, 'one');
  await using traffic = new Traffic(queue);
  await traffic.goesOn('runs are enqueued and consumed');

  const epoch = broker.connectionEpoch;
  await group.failover();
  await traffic.goesOn('work goes on after the failover');
  assert.notEqual(broker.connectionEpoch, epoch, 'the consumer is told that writes may have been lost');
  const sinceFailover = traffic.acknowledged.length;
  await traffic.goesOn('and on');

  const master = await group.master();
  assert.ok(master !== undefined);
  const untilKill = traffic.acknowledged.length;
  await group.replicated();
  await master.kill();
  await traffic.goesOn('work goes on after the death of the master');
  assert.notEqual(await group.master(), master);
  const sinceKill = traffic.acknowledged.length;
  await traffic.goesOn('and on');
  await traffic.end();

  assert.ok(traffic.longestCallMs < LONGEST_CALL_MS, `a call took ${traffic.longestCallMs} ms`);
  // What a master acknowledged just before it died may be lost, as Redis replicates later. All else is there.
  const promised = [
    ...traffic.acknowledged.slice(sinceFailover, untilKill),
    ...traffic.acknowledged.slice(sinceKill),
  ];
  assert.ok(promised.length >= 10);
  for (const id of promised) {
    if (traffic.ended.has(id)) continue;
    assert.ok((await queue.runs.get(id)) !== undefined, `${id} was acknowledged and is gone`);
  }
});

test('a client that hears of a failover while it asks for the master is not given up', async () => {
  await using group = await SentinelGroup.start();
  for (const role of ['calls', 'blocking'] as const) {
    const client = createClient(group.address, role);
    // What ioredis does to itself when a sentinel tells of a new master.
    client.disconnect(true);
    await until(`the client for ${role} is connected`, () => client.status === 'ready', {
      deadlineMs: 10_000,
    });
    const ended = new Promise((resolve) => client.once('end', resolve));
    client.disconnect();
    await ended;
    await sleep(200);
    assert.equal(client.status, 'end', 'its owner has ended it');
  }
});
