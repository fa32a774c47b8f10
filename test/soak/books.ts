/** The books of a soak: every slot and every request by hand is looked up while its decision is still in the log, every run at the end. */
import { readFileSync } from 'node:fs';
import type { RunRecord } from '../../src/task/run.ts';
import { slotRunId, triggerRunId } from '../../src/task/ids.ts';
import { slotAccount, slotsOf } from '../support/slot-account.ts';
import { until } from '../support/until.ts';
import { QUEUE, type SoakFleet } from './fleet.ts';
import { childOf, type Load } from './load.ts';
import type { RunAccount, SlotTotals, TriggerTotals } from './verdict.ts';

const LOG_LIMIT = 1_000;
const LOOKUPS_AT_ONCE = 64;
/** How long after the last fault everything must have come to its end: leases, back-offs, catch-ups, and the backlog. */
const DRAIN_DEADLINE_MS = 180_000;

export class Books {
  readonly #fleet: SoakFleet;
  /** Runs of the slots that fired. */
  readonly #runIds: string[] = [];
  /** Of each schedule, up to where its slots are booked. */
  readonly #since = new Map<string, number>();
  #slots: SlotTotals = { slots: 0, fired: 0, skipped: 0, missed: 0, undecided: 0, doubled: 0 };
  /** How many decisions there were for each request by hand. */
  readonly #decided = new Map<string, number>();

  constructor(fleet: SoakFleet) {
    this.#fleet = fleet;
  }

  /** Books what was decided up to the watermark of each schedule. */
  async advance(): Promise<void> {
    const { schedules } = this.#fleet.broker.queue(QUEUE);
    const states = await schedules.states(this.#fleet.uids);
    for (const [index, { uid, every }] of this.#fleet.schedules.entries()) {
      const state = states[index];
      if (state?.watermarkMs === undefined) continue;
      const fromMs = this.#since.get(uid) ?? state.notBeforeMs;
      const untilMs = state.watermarkMs + 1;
      if (untilMs <= fromMs) continue;
      await this.#bookSlots(uid, every, fromMs, untilMs);
      this.#since.set(uid, untilMs);
    }
    await this.#bookRequests();
  }

  async #bookSlots(uid: string, every: string, fromMs: number, untilMs: number): Promise<void> {
    const queue = this.#fleet.broker.queue(QUEUE);
    const account = await slotAccount(queue, uid, every, { fromMs, untilMs });
    const records = await queue.schedules.decisions(uid, { fromMs, toMs: untilMs, limit: LOG_LIMIT });
    const sums = { fired: 0, skipped: 0, missed: 0 };
    for (const record of records) {
      const slots = slotsOf(every, Math.max(record.fromMs, fromMs), Math.min(record.toMs + 1, untilMs));
      sums[record.decision] += slots.length;
      if (record.decision === 'fired') this.#runIds.push(...slots.map((ms) => slotRunId(uid, ms)));
    }
    const before = this.#slots;
    this.#slots = {
      slots: before.slots + account.slots,
      fired: before.fired + sums.fired,
      skipped: before.skipped + sums.skipped,
      missed: before.missed + sums.missed,
      undecided: before.undecided + account.undecided,
      doubled: before.doubled + account.doubled,
    };
  }

  async #bookRequests(): Promise<void> {
    const uid = this.#fleet.byHandUid;
    const records = await this.#fleet.broker.queue(QUEUE).schedules.decisions(uid, { limit: LOG_LIMIT });
    for (const [request, decisions] of Map.groupBy(records, (record) => record.request)) {
      if (request !== undefined)
        this.#decided.set(request, Math.max(this.#decided.get(request) ?? 0, decisions.length));
    }
  }

  get slots(): SlotTotals {
    return this.#slots;
  }

  triggers(requests: readonly string[]): TriggerTotals {
    const times = requests.map((request) => this.#decided.get(request) ?? 0);
    return {
      requested: requests.length,
      undecided: times.filter((count) => count === 0).length,
      doubled: times.reduce((sum, count) => sum + Math.max(0, count - 1), 0),
    };
  }

  /** When nothing waits or runs any more: what became of every run. */
  async runs(load: Load): Promise<RunAccount> {
    const { inspect } = this.#fleet.broker.queue(QUEUE);
    let left = '';
    await until(
      'the queue is drained',
      async () => {
        const { pending, delayed, running } = await inspect.stats();
        left = JSON.stringify({ pending, delayed, running, tasks: await inspect.tasks() });
        return pending + delayed + running === 0;
      },
      { deadlineMs: DRAIN_DEADLINE_MS, describe: () => left },
    );
    const wanted = [
      ...load.ids,
      ...this.#runIds,
      ...load.requests.map((request) => triggerRunId(this.#fleet.byHandUid, request)),
    ];
    const found = await this.#lookUp(wanted);
    // A parent that was cancelled, or failed, may have ended before it enqueued its child.
    const children = (await this.#lookUp(load.parents.map(childOf))).filter((record) => record !== undefined);
    const ended = [...found, ...children].filter((record) => record?.endedAtMs !== undefined);
    const count = (state: RunRecord['state']): number =>
      ended.filter((record) => record?.state === state).length;
    const { retainedSucceeded, retainedFailed } = await inspect.stats();
    const runs = wanted.length + children.length;
    return {
      runs,
      ...{ succeeded: count('succeeded'), failed: count('failed'), cancelled: count('cancelled') },
      lost: runs - ended.length,
      settledTwice: retainedSucceeded + retainedFailed - ended.length,
      executions: this.#executions(),
    };
  }

  async #lookUp(ids: readonly string[]): Promise<readonly (RunRecord | undefined)[]> {
    const { runs } = this.#fleet.broker.queue(QUEUE);
    const records: (RunRecord | undefined)[] = [];
    for (let start = 0; start < ids.length; start += LOOKUPS_AT_ONCE) {
      const chunk = ids.slice(start, start + LOOKUPS_AT_ONCE);
      records.push(...(await Promise.all(chunk.map((id) => runs.get(id)))));
    }
    return records;
  }

  #executions(): number {
    return readFileSync(this.#fleet.ledger, 'utf8').split('\n').length - 1;
  }
}
