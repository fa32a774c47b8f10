/** Rows 9 to 12: connections that are cut at the worst moment, dead without a sign, or slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { Client } from '../../../src/client/client.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { until } from '../../support/until.ts';
import { defineRow } from '../row.ts';
import { Stream } from '../stream.ts';
import { httpOf, World } from '../world.ts';

const flags = ['--concurrency', '20'];
/** A claim takes half a second there and back: with fewer runs at a time the producer would be faster. */
const farFlags = ['--concurrency', '100'];
const PRODUCERS = 4;

export const cutEnqueues = defineRow({
  row: 9,
  fault: 'a connection is cut in the middle of an enqueue',
  injection: 'the proxy hands the request on and cuts the connection before the answer, once for each run',
  promise:
    'the batch is sent again under its number: the run is in the queue once, and its producer hears "enqueued"',
  waits: true,
  short: { cuts: 200 },
  long: { cuts: 10_000 },
  async run({ cuts }, { build }) {
    await using world = await World.start(build);
    let [made, duplicates] = [0, 0];
    const ids: string[] = [];
    const produce = async (name: string): Promise<void> => {
      await using proxy = await FaultProxy.start(world.redis.port);
      await using broker = await connectRedis({ url: proxy.url });
      const client = new Client(broker);
      while (made < cuts) {
        made += 1;
        const cut = proxy.cutAfterRequest(/EVALSHA/i);
        const { id, outcome } = await client.enqueue('work', { ms: 1 }, { id: `${name}-${made}` });
        await cut;
        ids.push(id);
        if (outcome === 'duplicate') duplicates += 1;
      }
    };
    await Promise.all(Array.from({ length: PRODUCERS }, (_, index) => produce(`producer-${index}`)));
    const { pending } = await world.stats();
    await world.consumer({ flags });
    const account = await world.account(ids);
    return { cuts: made, inQueue: pending, duplicates, ...account };
  },
  accept: {
    'each run is in the queue once': ({ inQueue, cuts }) => inQueue === cuts,
    'no answer is "duplicate"': ({ duplicates }) => duplicates === 0,
    'no run is lost': ({ lost }) => lost === 0,
    'no body begins twice': ({ extraExecutions }) => extraExecutions === 0,
  },
});

export const lostClaims = defineRow({
  row: 10,
  fault: 'the answer to a claim is lost',
  injection:
    'the proxy cuts the connection of a consumer instead of handing on the answer that holds a run, again and again',
  promise:
    'the consumer compares what Redis says it holds with what it runs: no run is stranded until a lease is over',
  waits: true,
  short: { losses: 15 },
  long: { losses: 1_000 },
  async run({ losses }, { build }) {
    await using world = await World.start(build);
    await using proxy = await FaultProxy.start(world.redis.port);
    await world.consumer({ url: proxy.url, flags });
    const ids: string[] = [];
    let slowestStartMs = 0;
    for (let loss = 0; loss < losses; loss += 1) {
      const lost = proxy.cutBeforeReply(/\bwork\b/);
      ids.push(...(await world.enqueue('work', 1, { ms: 1 }, loss)));
      await lost;
      const lostAt = performance.now();
      await until('the run begins', () => world.executions() > loss, { deadlineMs: 60_000 });
      slowestStartMs = Math.max(slowestStartMs, Math.round(performance.now() - lostAt));
    }
    const account = await world.account(ids);
    return { losses, slowestStartMs, ...account };
  },
  accept: {
    'each run begins within 5 s of the loss, long before a lease is over': ({ slowestStartMs }) =>
      slowestStartMs <= 5_000,
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'no body begins twice': ({ extraExecutions }) => extraExecutions === 0,
  },
});

export const deadNetwork = defineRow({
  row: 11,
  fault: 'the network between consumer and Redis is dead, without a sign',
  injection: 'the proxy hands nothing on in either direction and closes nothing',
  promise: 'the consumer is not ready within 15 s, and works again within 10 s of the heal',
  waits: true,
  short: { deadMs: 25_000 },
  long: { deadMs: 60_000 },
  async run({ deadMs }, { build }) {
    await using world = await World.start(build);
    await using proxy = await FaultProxy.start(world.redis.port);
    const consumer = await world.consumer({ url: proxy.url, flags });
    const http = await httpOf(consumer);
    const stream = new Stream(world.client, 'work', { ms: 20 });
    await until('the load runs', () => world.executions() >= 200);
    proxy.mode = 'freeze';
    const deadAt = performance.now();
    await until('it is not ready', async () => (await fetch(`${http}/readyz`)).status !== 200);
    const detectedMs = Math.round(performance.now() - deadAt);
    await until('it was dead for long enough', () => performance.now() - deadAt >= deadMs, {
      deadlineMs: deadMs + 5_000,
    });
    const alive = (await fetch(`${http}/healthz`)).status === 200 ? 1 : 0;
    proxy.mode = 'pass';
    const healedAt = performance.now();
    const begun = world.executions();
    await until('runs begin again', () => world.executions() > begun, { deadlineMs: 60_000 });
    const resumedMs = Math.round(performance.now() - healedAt);
    const ids = await stream.stop();
    return { ...(await world.account(ids)), detectedMs, resumedMs, alive };
  },
  accept: {
    'it is not ready within 15 s': ({ detectedMs }) => detectedMs <= 15_000,
    'it stays alive': ({ alive }) => alive === 1,
    'runs begin again within 10 s of the heal': ({ resumedMs }) => resumedMs <= 10_000,
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
  },
});

export const slowNetwork = defineRow({
  row: 12,
  fault: 'Redis is far away and the network bad',
  injection: '200 ms more each way, up to 100 ms jitter, and 1 % of requests cost their connection',
  promise: 'no run is lost, and no lease runs out for it',
  waits: true,
  short: { lengthMs: 30_000 },
  long: { lengthMs: 600_000 },
  async run({ lengthMs }, { build }) {
    await using world = await World.start(build);
    await using proxy = await FaultProxy.start(world.redis.port);
    const consumers = [
      await world.consumer({ url: proxy.url, flags: farFlags }),
      await world.consumer({ url: proxy.url, flags: farFlags }),
    ];
    proxy.delayMs = 200;
    proxy.jitterMs = 100;
    proxy.cutShare = 0.01;
    const stream = new Stream(world.client, 'work', { ms: 20 }, { batch: 1 });
    await sleep(lengthMs);
    const ids = await stream.stop();
    proxy.cutShare = 0;
    const account = await world.account(ids);
    const lines = consumers.flatMap((consumer) => consumer.lines);
    return { ...account, givenBack: lines.filter((line) => line.includes('given back')).length };
  },
  accept: {
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'no lease ran out': ({ givenBack }) => givenBack === 0,
  },
});
