/** Slots that nobody decides: no scheduler or controller is at work. */
import type { Broker } from '../broker/broker.ts';
import type { ScheduleState } from '../task/schedule-state.ts';
import { allSchedules, nameOf, statesOf } from './find-schedule.ts';
import { eraTiming, nextSlots } from './show-timing.ts';
import type { EraTiming } from './why.ts';

/** As the alert TidemillScheduleOverdue has it: a new leader needs 24 s. */
const OVERDUE_MS = 60_000;
/** Each costs one read of its spec. */
const MOST_READ = 1_000;

/** The first slot that came more than a minute ago and was not decided; `undefined` when there is none. Pure. */
export function overdueSlot(
  state: Pick<ScheduleState, 'suspended' | 'withdrawn' | 'watermarkMs' | 'notBeforeMs'>,
  timing: EraTiming | undefined,
  nowMs: number,
): number | undefined {
  if (state.suspended || state.withdrawn || timing?.schedule === undefined) return undefined;
  const decidedMs = Math.max(state.watermarkMs ?? -Infinity, state.notBeforeMs - 1);
  const [owed] = nextSlots(timing.schedule, decidedMs, 1, timing);
  return owed !== undefined && owed < nowMs - OVERDUE_MS ? owed : undefined;
}

export interface OverdueCount {
  /** How many schedules were looked at. */
  readonly schedules: number;
  readonly overdue: number;
  /** The one that waits longest. */
  readonly oldest?: { readonly name: string; readonly slotMs: number };
}

/** Looks at the schedules of an install, at most a thousand. */
export async function countOverdue(broker: Broker, install: string): Promise<OverdueCount> {
  const schedules = (await allSchedules(broker, install)).slice(0, MOST_READ);
  const [states, eras, nowMs] = await Promise.all([
    statesOf(schedules),
    Promise.all(schedules.map(({ queue, uid }) => queue.schedules.eras(uid))),
    broker.now(),
  ]);
  const overdue = schedules.flatMap((schedule, index) => {
    const [state, era] = [states[index], eras[index]?.at(-1)];
    const slotMs = state && era && overdueSlot(state, eraTiming(era), nowMs);
    return slotMs === undefined ? [] : [{ name: nameOf(schedule), slotMs }];
  });
  const [oldest] = overdue.sort((a, b) => a.slotMs - b.slotMs);
  return { schedules: schedules.length, overdue: overdue.length, ...(oldest !== undefined && { oldest }) };
}
