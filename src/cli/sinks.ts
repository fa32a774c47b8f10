/** Joins sinks, so that gauges, statuses and events follow the same reports. */
import type { StatusSink } from '../controller/sink.ts';

/** Every call goes to all, in order. */
export function joinSinks(...sinks: readonly StatusSink[]): StatusSink {
  return {
    report: (report) => {
      for (const sink of sinks) sink.report(report);
    },
    gone: (object) => {
      for (const sink of sinks) sink.gone(object);
    },
  };
}
