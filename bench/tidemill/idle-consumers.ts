/**
 * Many consumers in one process, each composed as `tidemill consumer` does it: with a connection, a registration and a
 * heartbeat thread of its own. They share a process because 50 of them would measure the starting of processes; what a
 * wake-up costs Redis and its consumers is the same. Counts the claims they send.
 */
import { SILENT_OBSERVER } from '../../src/consumer/observer.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { processIo } from '../../src/cli/io.ts';
import { loadTaskSet, WorkerParts } from '../../src/cli/worker.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { join } from 'node:path';
import { redisUrl } from '../lib/bulk-producer.ts';
import { CONCURRENCY, QUEUE } from '../lib/job.ts';
import { tell } from '../lib/measured-process.ts';

/** Each thread clears away what its start has left behind; here they all share the cores of one machine. */
const SETTLING_MS = 4_000;

const count = Number(process.argv[2]);
const io = processIo();
const tasks = await loadTaskSet([join(import.meta.dirname, 'starts.ts')], io);
let claims = 0;
/** Sent before all were idle: they are nobody's runs. */
let claimsAtStart = 0;
const idle = new Set<number>();

function tellIdle(): void {
  claimsAtStart = claims;
  tell({ consumers: count });
}

const observerOf = (index: number) => ({
  ...SILENT_OBSERVER,
  claimed: () => {
    claims += 1;
    if (idle.has(index)) return;
    idle.add(index);
    if (idle.size === count) setTimeout(tellIdle, SETTLING_MS);
  },
});
process.once('SIGTERM', () => {
  tell({ claims: claims - claimsAtStart });
  process.exit(0);
});

const working: Promise<unknown>[] = [];
const stop = new AbortController();
for (let index = 0; index < count; index += 1) {
  // They all start at once on a few cores: that is no Redis that is away.
  const broker = await connectRedis({ url: redisUrl(), callTimeoutMs: 60_000 });
  const parts = await WorkerParts.open({
    ...{ tasks, broker, io, log: silentLog, observer: observerOf(index) },
    ...{ concurrency: CONCURRENCY, cpuConcurrency: 0, drainMs: 1_000, killGraceMs: 1_000 },
  });
  working.push(parts.consumer([QUEUE]).run(stop.signal));
}
await Promise.all(working);
