/**
 * What our own scripts allow: claims and settles as a consumer does, through `src/broker/redis`, with a lease, fencing,
 * limits, retention and the outcome stream, but without params, tasks or metrics. Two calls are under way at once.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ClaimedRun } from '../../src/broker/broker.ts';
import { DEFAULT_LEASE_MS, DEFAULT_QUEUE_SETTINGS } from '../../src/broker/broker.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { SETTLE_BATCH } from '../../src/consumer/settle-batcher.ts';
import { buildManifest } from '../../src/task/build-manifest.ts';
import { loadTasks } from '../../src/task/load.ts';
import { redisUrl } from '../lib/bulk-producer.ts';
import { QUEUE } from '../lib/job.ts';
import { countRun } from '../lib/run-counter.ts';

const CALLS_AT_ONCE = 2;

await using broker = await connectRedis({ url: redisUrl() });
const { work } = broker.queue(QUEUE);
const incarnation = randomBytes(12).toString('hex');
const { registry } = await loadTasks([join(import.meta.dirname, 'noop.ts')], import.meta.dirname);
await work.register({
  incarnation,
  leaseMs: DEFAULT_LEASE_MS,
  manifest: buildManifest(registry, 0),
  settings: DEFAULT_QUEUE_SETTINGS,
  consumer: { host: hostname(), pid: process.pid, version: 'ceiling' },
});

async function cycle(): Promise<void> {
  let held: readonly ClaimedRun[] = [];
  do {
    const settle = held.map(({ record, token }) => ({
      id: record.id,
      token,
      outcome: { kind: 'succeeded', result: '"ok"' } as const,
    }));
    const reply = await work.cycle({ incarnation, settle, claim: { io: SETTLE_BATCH, cpu: 0 } });
    if (reply.claimError !== undefined) throw new Error(reply.claimError);
    held = reply.claimed;
    for (let count = 0; count < held.length; count += 1) countRun();
  } while (held.length > 0);
}
await Promise.all(Array.from({ length: CALLS_AT_ONCE }, cycle));
