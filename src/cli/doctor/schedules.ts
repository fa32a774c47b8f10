/** `tidemill doctor`: whether the slots of the schedules are decided. */
import type { Broker } from '../../broker/broker.ts';
import { nameOf, schedulesInForce } from '../find-schedule.ts';
import { plural, showDuration } from '../format.ts';
import { overdueSlot } from '../overdue.ts';
import type { Finding } from './finding.ts';

const MOST_READ = 1_000;

/** Looks at the schedules of an install, at most a thousand, and names the one that waits longest. */
export async function schedulesFinding(broker: Broker, install: string): Promise<Finding> {
  const { total, schedules } = await schedulesInForce(broker, install, MOST_READ);
  const nowMs = await broker.now();
  const overdue = schedules.flatMap((schedule) => {
    const slotMs = overdueSlot(schedule.state, schedule.timing, nowMs);
    return slotMs === undefined ? [] : [{ name: nameOf(schedule), slotMs }];
  });
  const [oldest] = overdue.sort((a, b) => a.slotMs - b.slotMs);
  const of = `install ${install}: `;
  if (oldest === undefined)
    return {
      check: 'schedules',
      result: 'ok',
      message: `${of}${plural(total, 'schedule')} in force, none overdue`,
    };
  const since = showDuration(nowMs - oldest.slotMs);
  return {
    check: 'schedules',
    result: 'warning',
    message: `${of}${overdue.length} of ${plural(total, 'schedule')} overdue, ${oldest.name} since ${since}: no scheduler or controller is at work, or it cannot reach this Redis`,
  };
}
