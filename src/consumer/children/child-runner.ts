/** What a child does: loads the tasks once, then runs one attempt after the other and reports each end. */
import { flushCompileCache } from 'node:module';
import { inspect } from 'node:util';
import { messageOf, TidemillError } from '../../runtime/errors.ts';
import { type LoadedApp, openApp } from '../../task/app.ts';
import { buildManifest } from '../../task/build-manifest.ts';
import { type AttemptResult, invokeTask } from '../../task/invoke.ts';
import { refusedByNode } from '../../task/denied.ts';
import { loadTasks } from '../../task/load.ts';
import type { TaskRegistry } from '../../task/registry.ts';
import type { RunRecord } from '../../task/run.ts';
import { toRunError } from '../../task/thrown.ts';
import { StopError } from '../stop-error.ts';
import { EnqueueRelay } from './enqueue-relay.ts';
import type { ChildMessage, ParentMessage } from './protocol.ts';
import { RunLog } from './run-log.ts';

/** Resolves when the message has left this process. Never rejects: a parent that is gone ends us anyway. */
export type Send = (message: ChildMessage) => Promise<void>;

interface Loaded {
  readonly registry: TaskRegistry;
  readonly app: LoadedApp;
}

interface CurrentRun {
  readonly number: number;
  readonly controller: AbortController;
  readonly log: RunLog;
}

export class ChildRunner {
  readonly #send: Send;
  readonly #exit: (code: number) => void;
  readonly #relay: EnqueueRelay;
  #loaded: Loaded | undefined;
  #current: CurrentRun | undefined;

  constructor(send: Send, exit: (code: number) => void) {
    this.#send = send;
    this.#exit = exit;
    this.#relay = new EnqueueRelay(send);
  }

  async handle(message: ParentMessage): Promise<void> {
    switch (message.type) {
      case 'load':
        return this.#load(message.tasks, message.cwd);
      case 'run':
        return this.#run(message.run, message.record);
      case 'abort':
        if (this.#current?.number === message.run)
          this.#current.controller.abort(new StopError(message.kind, message.message));
        return;
      case 'enqueued':
      case 'enqueue-failed':
        this.#relay.answer(message);
        return;
      default:
        return this.#stop();
    }
  }

  /** SIGTERM: the body's signal aborts; without a run the child ends. */
  async terminate(): Promise<void> {
    if (this.#current === undefined) return this.#stop();
    // The parent's own abort came with a reason; then this changes nothing.
    this.#current.controller.abort(new StopError('shutdown', 'the child process got SIGTERM'));
  }

  /** Something threw where nobody catches: the run that is there fails by it, and the process is not used again. */
  async fail(error: unknown): Promise<void> {
    process.stderr.write(`uncaught ${inspect(error)}\n`);
    const run = this.#current;
    if (this.#loaded === undefined)
      await this.#send({ type: 'broken', message: refusedByNode(error) ?? messageOf(error) });
    if (run !== undefined)
      await this.#finish(run, { kind: 'failed', error: toRunError(error, 'Error'), retry: 'policy' }, false);
    this.#exit(1);
  }

  async #load(tasks: readonly string[], cwd: string): Promise<void> {
    const { registry, app } = await loadTasks(tasks, cwd);
    const { hash } = buildManifest(registry, 0);
    this.#loaded = { registry, app: await openApp(app, { log: new RunLog(0, this.#send) }) };
    // Children mostly end by a signal, and then Node would not write it. Does nothing unless the cache is switched on.
    flushCompileCache();
    await this.#send({ type: 'ready', manifestHash: hash, rssBytes: process.memoryUsage.rss() });
  }

  async #run(number: number, record: RunRecord): Promise<void> {
    if (this.#loaded === undefined)
      throw new TidemillError('INTERNAL', 'a run came before the tasks were loaded');
    const { registry, app } = this.#loaded;
    const controller = new AbortController();
    const log = new RunLog(number, this.#send);
    const run = { number, controller, log };
    this.#current = run;
    // Waited for: a body that spins at once would keep the message back, and the run would count as not begun.
    await this.#send({ type: 'begun', run: number });
    const result = await invokeTask({
      task: registry.get(record.task),
      record,
      app,
      signal: controller.signal,
      log,
      enqueue: (queue, request) => this.#relay.enqueue(number, queue, request),
    });
    await this.#finish(run, result, true);
  }

  async #finish(run: CurrentRun, result: AttemptResult, reusable: boolean): Promise<void> {
    if (this.#current !== run) return; // it has failed already by an uncaught error
    this.#current = undefined;
    const rssBytes = process.memoryUsage.rss();
    await this.#send({
      type: 'result',
      run: run.number,
      result,
      droppedLogs: run.log.dropped,
      rssBytes,
      reusable,
    });
  }

  async #stop(): Promise<void> {
    await this.#loaded?.app[Symbol.asyncDispose]();
    this.#exit(0);
  }
}
