/** Every path that a process serves over HTTP, as data: `docs/reference/http.md` is made from it, a test compares it with the routes. */
import { DEFAULT_LOOK_AHEAD_SECONDS, MAX_LOOK_AHEAD_SECONDS } from './scale.ts';

export interface Endpoint {
  readonly servedBy: 'all' | 'controller, scheduler';
  readonly meaning: string;
  /** Status → when. */
  readonly statuses: Readonly<Record<number, string>>;
}

/** By path, as in the routes. All answer GET and HEAD only, others are a 405. */
export const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  '/healthz': {
    servedBy: 'all',
    meaning: 'Liveness: a restart would not help. Never about Redis or the API server.',
    statuses: { 200: 'alive', 503: 'a loop stands still; `reasons` says which' },
  },
  '/readyz': {
    servedBy: 'all',
    meaning:
      'Readiness: the process can do its work right now. Not ready is one that Redis does not answer, or whose writes Redis has refused for 5 s (`MISCONF`, `READONLY`, `NOREPLICAS`); with a full Redis (`OOM`) it stays ready, since what waits still drains.',
    statuses: { 200: 'ready', 503: 'not ready; `reasons` says why' },
  },
  '/metrics': {
    servedBy: 'all',
    meaning: 'Metrics as Prometheus text.',
    statuses: { 200: 'always: what could not be read is absent, and `tidemill_collector_up` says so' },
  },
  '/scale/{queue}': {
    servedBy: 'controller, scheduler',
    meaning:
      `How much work a queue has, for autoscalers, from any replica: \`backlog\` = \`waiting\` + \`running\` + \`delayedSoon\` (delayed runs due within ` +
      `\`?lookAheadSeconds=\`, 0 to ${MAX_LOOK_AHEAD_SECONDS}, default ${DEFAULT_LOOK_AHEAD_SECONDS}), and \`oldestAgeSeconds\` of the oldest ready run. Read from Redis at most once a second.`,
    statuses: {
      200: 'the counts; zeros for a queue that was never used',
      400: 'the name of the queue or the look-ahead breaks a rule',
      503: 'Redis gave no answer: keep what you have',
    },
  },
};
