/** Writes down what the engine decides, for whoever reads the log of a scheduler or controller. */
import type { EngineObserver } from '../controller/observer.ts';
import type { DecisionReason } from '../schedule/reasons.ts';
import type { Log } from '../telemetry/log.ts';

/** Decisions that a user could wonder about. */
export function engineLog(log: Log): Partial<EngineObserver> {
  const at = (ms: number): string => new Date(ms).toISOString();
  return {
    fired: ({ namespace, name, task, slotMs, runId, reason, lagMs }) =>
      log.debug('slot fired', {
        schedule: `${namespace}/${name}`,
        task,
        slot: at(slotMs),
        run: runId,
        reason,
        lagMs,
      }),
    // A fast schedule would fill the log with these: the record, the metrics and the events of the object tell of them.
    skipped: ({ namespace, name, task, slotMs, reason }) =>
      log.debug('slot skipped', { schedule: `${namespace}/${name}`, task, slot: at(slotMs), reason }),
    // Whoever asked may see one word of it: here stands the whole.
    triggered: ({ namespace, name, task, request, state, runId, message }) =>
      log[state === 'Refused' || state === 'Skipped' ? 'warn' : 'info']('run asked for by hand', {
        schedule: `${namespace}/${name}`,
        task,
        request,
        state,
        run: runId,
        problem: message,
      }),
    missed: ({ namespace, name, task, fromMs, toMs, count, reason }) =>
      log[isToldByCondition(reason) ? 'debug' : 'warn']('slots missed', {
        schedule: `${namespace}/${name}`,
        task,
        from: at(fromMs),
        to: at(toMs),
        count,
        reason,
      }),
  };
}

/** For as long as the object stays as it is, every slot is missed: its condition says why, once. */
function isToldByCondition(reason: DecisionReason): boolean {
  return reason === 'InvalidParams' || reason === 'QueueNotAllowed' || reason === 'InvalidSchedule';
}
