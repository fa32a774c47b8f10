/** What is known of every schedule right now: what is next, and the gauges of `/metrics`. */
import type { ObjectReport, StatusSink } from '../controller/sink.ts';
import { firesAnyway } from '../resource/conditions.ts';
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import type { ScheduleReading, ScheduleStateName } from '../telemetry/engine-metrics.ts';

export interface Next {
  readonly schedule: string;
  readonly task: string;
  readonly atMs: number;
}

export class ScheduleBoard implements StatusSink {
  readonly #reports = new Map<string, ObjectReport>();
  readonly #onGone: (object: ScheduledObject) => void;

  constructor(onGone: (object: ScheduledObject) => void = () => undefined) {
    this.#onGone = onGone;
  }

  report(report: ObjectReport): void {
    this.#reports.set(report.object.key, report);
  }

  gone(object: ScheduledObject): void {
    if (this.#reports.delete(object.key)) this.#onGone(object);
  }

  /** The next slot of all schedules that will fire. */
  next(): Next | undefined {
    let next: Next | undefined;
    for (const { object, task, nextMs, condition } of this.#reports.values()) {
      if (nextMs === undefined || !firesAnyway(condition.reason)) continue;
      if (next === undefined || nextMs < next.atMs) next = { schedule: object.key, task, atMs: nextMs };
    }
    return next;
  }

  readings(): readonly ScheduleReading[] {
    return [...this.#reports.values()].map((report) => ({
      namespace: report.object.namespace,
      name: report.object.name,
      state: stateOf(report),
      nextMs: report.nextMs,
      lastSuccessMs: report.state?.lastSucceededAtMs,
      lastFailureMs: report.state?.lastFailedAtMs,
    }));
  }
}

function stateOf({ condition }: ObjectReport): ScheduleStateName {
  if (condition.reason === 'Suspended') return 'suspended';
  if (condition.reason === 'Completed') return 'completed';
  return firesAnyway(condition.reason) ? 'active' : 'stalled';
}
