/** Counts how often each slot of a schedule was decided, by the log of its decisions in the broker. */
import type { Queue } from '../../src/broker/broker.ts';
import { every } from '../../src/schedule/every.ts';

/** Slots of one schedule, as the log of its decisions tells. */
export interface SlotAccount {
  readonly slots: number;
  readonly undecided: number;
  readonly doubled: number;
}

/** Slots of an interval from the first instant on, and before the last. */
export function slotsOf(interval: string, fromMs: number, untilMs: number): readonly number[] {
  const schedule = every(interval);
  const slots: number[] = [];
  let slotMs = schedule.next(fromMs - 1);
  while (slotMs !== undefined && slotMs < untilMs) {
    slots.push(slotMs);
    slotMs = schedule.next(slotMs);
  }
  return slots;
}

/** How often each slot of the span was decided by the spec of one generation, or, without, by any. */
export async function slotAccount(
  queue: Queue,
  uid: string,
  interval: string,
  {
    generation,
    fromMs,
    untilMs,
  }: { readonly generation?: number; readonly fromMs: number; readonly untilMs: number },
): Promise<SlotAccount> {
  const all = await queue.schedules.decisions(uid, { limit: 1_000 });
  const records = all.filter((record) => generation === undefined || record.generation === generation);
  const slots = slotsOf(interval, fromMs, untilMs);
  const times = slots.map(
    (ms) => records.filter((record) => record.fromMs <= ms && ms <= record.toMs).length,
  );
  // A range that counts more slots than lie in it holds one twice.
  const surplus = records
    .filter(({ request }) => request === undefined)
    .map((record) => record.count - slotsOf(interval, record.fromMs, record.toMs + 1).length);
  return {
    slots: slots.length,
    undecided: times.filter((count) => count === 0).length,
    doubled: [...times.map((count) => Math.max(0, count - 1)), ...surplus].reduce(
      (sum, more) => sum + more,
      0,
    ),
  };
}

export function sumOf(accounts: readonly SlotAccount[]): SlotAccount {
  return accounts.reduce(
    (sum, { slots, undecided, doubled }) => ({
      slots: sum.slots + slots,
      undecided: sum.undecided + undecided,
      doubled: sum.doubled + doubled,
    }),
    { slots: 0, undecided: 0, doubled: 0 },
  );
}
