/** Holds each decision of a schedule against the promises as it is made: never twice, never by an old spec, never retroactively. */
import type { FireDecision, FireEntry, FireRequest, Queue } from '../../src/broker/broker.ts';
import type { Book } from './book.ts';
import type { RunLedger } from './run-ledger.ts';

/** Ids of all runs that were fired, and when. */
export type FiredSlots = Map<string, number>;

interface Known {
  /** Newest generation acted on. */
  generation: number;
  notBeforeMs: number;
  suspended: boolean;
}

export function watchDecisions(
  inner: Queue,
  runs: RunLedger,
  book: Book,
  now: () => number,
): { readonly queue: Queue; readonly fired: FiredSlots } {
  const fired: FiredSlots = new Map();
  const known = new Map<string, Known>();
  const schedules: Queue['schedules'] = {
    ...inner.schedules,
    adopt: async (requests) => {
      const replies = await inner.schedules.adopt(requests);
      for (const reply of replies) {
        if (reply.outcome !== 'adopted') continue;
        const { uid, generation, notBeforeMs, suspended } = reply.state;
        known.set(uid, {
          generation: Math.max(generation, known.get(uid)?.generation ?? 0),
          notBeforeMs,
          suspended,
        });
      }
      return replies;
    },
    fire: async (requests) => {
      const before = requests.map(({ uid }) => inFlight(runs, uid).length);
      const replies = await inner.schedules.fire(requests);
      for (const [index, request] of requests.entries()) {
        const reply = replies[index];
        if (reply?.outcome !== 'ok') continue;
        checkPolicy(request, reply.decisions, before[index] ?? 0, runs, book);
        for (const [at, entry] of request.entries.entries())
          check(request, entry, reply.decisions[at], known.get(request.uid));
      }
      return replies;
    },
  };
  const check = (
    { uid, generation }: FireRequest,
    entry: FireEntry,
    made: FireDecision | undefined,
    schedule: Known | undefined,
  ): void => {
    if (made === undefined || made.decision === 'duplicate' || made.decision === 'refused') return;
    if (schedule === undefined) {
      book.breach('P10', `${uid} was decided, and never adopted`);
      return;
    }
    if (generation < schedule.generation)
      book.breach('P10', `${uid} was decided by generation ${generation} after ${schedule.generation}`);
    if (made.runId !== undefined) {
      if (fired.has(made.runId)) book.breach('P2', `${made.runId} was enqueued twice`);
      fired.set(made.runId, generation);
      book.counts.fired += 1;
    }
    if (entry.kind === 'trigger') return;
    const fromMs = entry.kind === 'slot' ? entry.slotMs : entry.fromMs;
    const what = `${uid} slot ${new Date(fromMs).toISOString()}`;
    const isOpposed = made.decision === 'skipped' || made.reason === 'Replaced';
    if (fromMs > now() && isOpposed) book.breach('policy', `${what} was ${made.decision} before it came`);
    if (schedule.suspended) book.breach('P1', `${what} was decided while suspended`);
    if (fromMs < schedule.notBeforeMs) book.breach('P1', `${what} was decided retroactively`);
  };
  return { queue: { ...inner, schedules }, fired };
}

function inFlight(runs: RunLedger, uid: string): readonly string[] {
  return [...runs.open.keys()].filter((id) => id.startsWith(`${uid}@`));
}

function checkPolicy(
  { uid, concurrencyPolicy }: FireRequest,
  decisions: readonly FireDecision[],
  before: number,
  runs: RunLedger,
  book: Book,
): void {
  const ids = decisions.flatMap((made) => ('runId' in made ? [made.runId] : []));
  const last = ids.at(-1);
  if (last === undefined) return;
  if (concurrencyPolicy === 'Forbid' && ids.length + before > 1)
    book.breach('policy', `${last} was fired beside a run of its schedule, which forbids it`);
  const left = inFlight(runs, uid).filter((id) => id !== last);
  if (concurrencyPolicy === 'Replace' && left.length > 0)
    book.breach('policy', `${last} was fired without replacing ${left.join(', ')}`);
}
