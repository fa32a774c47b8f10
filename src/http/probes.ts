/** The paths that every long-running process serves: liveness, readiness and metrics. */
import type { Metrics } from '../telemetry/metrics.ts';
import { jsonReply, type Reply, type Routes } from './server.ts';

/** Why not, as short sentences; empty when all is well. Must be quick: no I/O. */
export type Check = () => readonly string[];

export interface ProbeOptions {
  /** False means that a restart would help: the event loop or the claim loop stands still. Never about Redis. */
  readonly live: Check;
  /** False means that the process cannot do its work right now, or does not want any: Redis is away, or it drains. */
  readonly ready: Check;
  readonly metrics: Metrics;
}

export function probeRoutes({ live, ready, metrics }: ProbeOptions): Routes {
  return {
    '/healthz': () => checkReply(live()),
    '/readyz': () => checkReply(ready()),
    '/metrics': async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.render() }),
  };
}

function checkReply(reasons: readonly string[]): Reply {
  return reasons.length === 0
    ? jsonReply(200, { status: 'ok' })
    : jsonReply(503, { status: 'failing', reasons });
}
