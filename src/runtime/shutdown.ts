/** Turns the signals of the operating system into one `AbortSignal`: the first asks, the second insists. */

/** The part of `process` that is needed; tests give their own. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  exit(code: number): unknown;
}

/** SIGPIPE is not among them: Node ignores it, and a reader of our log that goes away must not stop the work. */
const STOPPING = ['SIGTERM', 'SIGINT'] as const satisfies readonly NodeJS.Signals[];

export interface Shutdown extends Disposable {
  /** Aborts at the first SIGTERM or SIGINT; its reason is that signal's name. */
  readonly signal: AbortSignal;
  /** Aborts as a signal would, for a process that wants to end by itself. */
  stop(reason: string): void;
}

/** Installs the handlers. A second signal ends the process at once with code 1, whatever is still running. */
export function watchSignals(source: SignalSource = process): Shutdown {
  const controller = new AbortController();
  let asked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) source.exit(1);
    asked = true;
    controller.abort(signal);
  };
  for (const signal of STOPPING) source.on(signal, onSignal);
  return {
    signal: controller.signal,
    stop: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => {
      for (const signal of STOPPING) source.off(signal, onSignal);
    },
  };
}
