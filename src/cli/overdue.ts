/** Slots that nobody decides: no scheduler or controller is at work. */
import type { ScheduleState } from '../task/schedule-state.ts';
import { nextSlots } from './show-timing.ts';
import type { EraTiming } from './why.ts';

/** As the alert TidemillScheduleOverdue has it: a new leader needs 24 s. */
const OVERDUE_MS = 60_000;

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
