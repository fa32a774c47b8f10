/** Runs IO-bound bodies in this event loop. */
import type { LoadedApp } from '../task/app.ts';
import { type AttemptResult, invokeTask } from '../task/invoke.ts';
import type { ExecuteRequest, RunExecutor } from './executor.ts';
import type { LoopLag } from './loop-lag.ts';

export class InlineExecutor implements RunExecutor {
  readonly #app: LoadedApp;
  readonly #loopLag: LoopLag;

  /** @param loopLag - learns which task's code is running, to name the one that blocks */
  constructor(app: LoadedApp, loopLag: LoopLag) {
    this.#app = app;
    this.#loopLag = loopLag;
  }

  execute({ task, record, signal, log, enqueue, started }: ExecuteRequest): Promise<AttemptResult> {
    started();
    return this.#loopLag.attribute(task.name, () =>
      invokeTask({ task, record, app: this.#app, signal, log, enqueue }),
    );
  }
}
