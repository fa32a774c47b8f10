/** Joins watchers, so that metrics and the output of `dev` can watch the same thing. */

type Call = (...args: readonly unknown[]) => void;

/** Every call goes to all, in order. The watchers' calls need no `this` and do not throw. */
export function joinObservers<T extends object>(first: T, ...others: readonly Partial<T>[]): T {
  const joined = new Map<PropertyKey, Call>();
  return new Proxy(first, {
    get(target, name): unknown {
      const known = joined.get(name);
      if (known !== undefined) return known;
      const calls = [target, ...others]
        .map((watcher): unknown => Reflect.get(watcher, name))
        .filter((call) => typeof call === 'function');
      const call: Call = (...args) => {
        for (const one of calls) Reflect.apply(one, undefined, args);
      };
      joined.set(name, call);
      return call;
    },
  });
}
