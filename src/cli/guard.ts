/**
 * Keeps a consumer alive through what its tasks leave uncaught: a rejection long after the run ended, an `error` event that
 * nobody listens to. Each is logged with the task whose code it came from, and counted.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** The part of `process` that is needed; tests give their own. */
export interface GuardSource {
  on(event: 'unhandledRejection' | 'uncaughtException', listener: (thrown: unknown) => void): unknown;
  off(event: 'unhandledRejection' | 'uncaughtException', listener: (thrown: unknown) => void): unknown;
}

export interface GuardOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  /**
   * An exception that no task's code can be blamed for: what of our own state still holds is not known, so the process
   * should hand back its runs and end. Kubernetes starts it anew.
   */
  readonly onFatal: () => void;
  /** Default: this process. */
  readonly source?: GuardSource;
}

export interface Guard extends Disposable {
  /** Whether `onFatal` was called. */
  readonly fatal: boolean;
  /** Holds the name of the task in whose run the code began: whoever runs bodies runs them in it. */
  readonly running: AsyncLocalStorage<string>;
}

export function guardProcess({ log, metrics, onFatal, source = process }: GuardOptions): Guard {
  const running = new AsyncLocalStorage<string>();
  const counter = metrics.counter('tidemill_uncaught_errors_total');
  let fatal = false;
  for (const kind of ['exception', 'rejection']) counter.add({ kind }, 0);

  const onRejection = (err: unknown): void => {
    counter.add({ kind: 'rejection' });
    log.error('a promise was rejected and nobody handled it', { task: running.getStore(), err });
  };
  const onException = (err: unknown): void => {
    counter.add({ kind: 'exception' });
    const task = running.getStore();
    log.error('an exception was thrown and nobody caught it', { task, err });
    if (task !== undefined) return;
    fatal = true;
    onFatal();
  };
  source.on('unhandledRejection', onRejection);
  source.on('uncaughtException', onException);

  return {
    get fatal() {
      return fatal;
    },
    running,
    [Symbol.dispose]: () => {
      source.off('unhandledRejection', onRejection);
      source.off('uncaughtException', onException);
    },
  };
}
