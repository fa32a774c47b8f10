/** What someone who tests tasks sees: checked by the compiler alone, never run. */
import { z } from 'zod';
import { defineApp, defineTask } from '../../src/index.ts';
import { runTask } from '../../src/testing.ts';

const app = defineApp({ deps: () => ({ size: 3 }) });
const bare = defineTask({ name: 'bare', run: () => 'done' });
const optional = defineTask({
  name: 'optional',
  params: z.object({ n: z.number().default(1) }),
  run: ({ params }) => params.n,
});
const needs = app.defineTask({
  name: 'needs',
  params: z.object({ url: z.string() }),
  run: ({ params, deps }) => params.url.length + deps.size,
});

export const results: [string | undefined, number | undefined, number | undefined] = [
  (await runTask(bare)).result,
  (await runTask(optional)).result,
  (await runTask(needs, { params: { url: 'a' }, deps: { size: 1 }, run: { attempt: 2 } })).result,
];
await runTask(optional, { params: { n: 2 } });

// @ts-expect-error -- params and deps are needed
await runTask(needs);
// @ts-expect-error -- deps are missing
await runTask(needs, { params: { url: 'a' } });
// @ts-expect-error -- params are missing
await runTask(needs, { deps: { size: 1 } });
// @ts-expect-error -- a wrong param
await runTask(needs, { params: { url: 1 }, deps: { size: 1 } });
// @ts-expect-error -- a wrong dependency
await runTask(needs, { params: { url: 'a' }, deps: { size: 'big' } });
// @ts-expect-error -- bare takes no params
await runTask(bare, { params: { url: 'a' } });
