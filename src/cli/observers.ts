/** Joins watchers, so that metrics and the output of `dev` can watch the same thing. */

type Call = (...args: readonly unknown[]) => void;

const isCall = (value: unknown): value is Call => typeof value === 'function';

/**
 * Every call goes to all, in order. The watchers' calls need no `this` and do not throw.
 *
 * @param first - an object of nothing but calls, with all that there are: its own keys are what is joined
 */
export function joinObservers<T extends object>(first: T, ...others: readonly Partial<T>[]): T {
  const joined: T = { ...first };
  for (const name of Object.keys(first)) {
    const calls = [first, ...others].map((watcher): unknown => Reflect.get(watcher, name)).filter(isCall);
    Reflect.set(joined, name, oneCall(calls));
  }
  return joined;
}

function oneCall(calls: readonly Call[]): Call {
  return (...args) => {
    for (const call of calls) call(...args);
  };
}
