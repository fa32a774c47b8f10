/** What an author of tasks sees: checked by the compiler alone, never run. */
import { z } from 'zod';
import type { NoDeps } from '../../src/task/types.ts';
import {
  cron,
  defineApp,
  defineContract,
  defineTask,
  every,
  NonRetryableError,
  type Task,
} from '../../src/index.ts';

/** `same<A, B>(true)` compiles only where each type fits the other. */
const same = <A, B>(proof: [A] extends [B] ? ([B] extends [A] ? true : false) : false): boolean => proof;

export const store = defineTask({
  name: 'store',
  params: z.object({ url: z.url(), limit: z.coerce.number<string>().default(10) }),
  tags: ['web'],
  retry: {
    attempts: 5,
    backoff: '1s',
    when: (error, attempt) => !(error instanceof NonRetryableError) && attempt * 1_000,
  },
  schedule: [every('1h'), cron('@daily')],
  async run({ params, run, signal, log, abort }) {
    // `run` gets the output of the schema.
    same<typeof params, { url: string; limit: number }>(true);
    log.info('storing', { id: run.id, slot: run.slot?.toISOString() });
    if (signal.aborted) abort('too late');
    return { stored: params.limit };
  },
});
same<
  typeof store,
  Task<
    { url: string; limit?: string | undefined },
    { url: string; limit: number },
    { stored: number },
    NoDeps
  >
>(true);

export const tick = defineTask({
  name: 'tick',
  async run({ params, deps, enqueue, log }) {
    log.info('params', params);
    same<typeof params, Record<string, never>>(true);
    // @ts-expect-error -- there are no deps without an app
    log.info('db', { db: deps.db });

    await enqueue(store, { url: 'https://example.org' });
    await enqueue(store, { url: 'https://example.org', limit: '5' }, { delay: '30s' });
    await enqueue(tick2);
    await enqueue(tick2, {}, { id: 'once' });
    // @ts-expect-error -- params are missing
    await enqueue(store);
    // @ts-expect-error -- a param is missing
    await enqueue(store, {});
    // @ts-expect-error -- the input of limit is a string
    await enqueue(store, { url: 'https://example.org', limit: 5 });
    // @ts-expect-error -- there is no such param
    await enqueue(store, { url: 'https://example.org', depth: 5 });
    // @ts-expect-error -- tick2 takes no params
    await enqueue(tick2, { url: 'https://example.org' });
    // @ts-expect-error -- no such option
    await enqueue(store, { url: 'https://example.org' }, { dealy: 5 });
  },
});

export const tick2 = defineTask({ name: 'tick2', run: () => undefined });

// @ts-expect-error -- a task needs run
export const noRun = defineTask({ name: 'no-run' });
// @ts-expect-error -- and a name
export const noName = defineTask({ run: () => undefined });
// @ts-expect-error -- a misspelt option
export const misspelt = defineTask({ name: 'misspelt', cpubound: true, run: () => undefined });
// @ts-expect-error -- not a priority
export const urgent = defineTask({ name: 'urgent', priority: 'urgent', run: () => undefined });
// @ts-expect-error -- a schedule is made by every() or cron()
export const byText = defineTask({ name: 'by-text', schedule: '* * * * *', run: () => undefined });

// ------------------------------------------------------------------------------------------------ contracts

export const page = defineContract({
  name: 'page',
  params: z.object({ from: z.number() }),
  result: z.object({ next: z.string().nullable() }),
});

/** A task that enqueues itself and returns the child's id: through its contract it does not refer to itself. */
export const pageTask = defineTask({
  contract: page,
  async run({ params, enqueue }) {
    same<typeof params, { from: number }>(true);
    if (params.from > 10) return { next: null };
    const child = await enqueue(page, { from: params.from + 1 });
    return { next: child.id };
  },
});
same<typeof pageTask, Task<{ from: number }, { from: number }, { next: string | null }, NoDeps>>(true);

const next = z.object({ next: z.string() });
// @ts-expect-error -- the contract says what is returned
export const wrongResult = defineTask({ contract: page, run: () => 5 });
// @ts-expect-error -- the result schema wants next
export const alsoWrong = defineTask({ name: 'also', result: next, run: async () => ({}) });
export const right = defineTask({ name: 'right', result: next, run: () => ({ next: 'a' }) });
// @ts-expect-error -- a contract brings its params along
export const twoContracts = defineTask({ contract: page, params: z.object({}), run: () => ({}) });

// ------------------------------------------------------------------------------------------------------ apps

export const app = defineApp({
  deps: async ({ log }) => {
    log.info('opening');
    return { db: { read: async (id: string) => id.length } };
  },
  onFailure: ({ deps, error, final, run, task }) => {
    same<typeof error, unknown>(true);
    return final && error !== undefined && deps.db.read(`${task.name} ${run.id}`);
  },
  wrap: async ({ task, deps }, next) => {
    await deps.db.read(task.name);
    await next();
  },
});

export const withDeps = app.defineTask({
  name: 'with-deps',
  params: z.object({ id: z.string() }),
  async run({ params, deps, log }) {
    // @ts-expect-error -- no such dependency
    log.info('cache', { cache: deps.cache });
    return await deps.db.read(params.id);
  },
});
export const contractWithDeps = app.defineTask({
  contract: page,
  run: async ({ deps, params }) => ({ next: `${await deps.db.read(String(params.from))}` }),
});

// @ts-expect-error -- there is no such hook
export const noSuchHook = defineApp({ onFail: () => undefined });
// @ts-expect-error -- deps are a record
export const noRecord = defineApp({ deps: () => 5 });
