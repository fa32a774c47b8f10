/** What a producer sees: checked by the compiler, never run. */
import { z } from 'zod';
import type { Client } from '../../src/client/client.ts';
import { defineContract, defineTask } from '../../src/index.ts';

declare const client: Client;

const resize = defineTask({
  name: 'resize',
  params: z.object({ url: z.string(), width: z.number().default(80) }),
  run: ({ params }) => ({ pixels: params.width }),
});
const ping = defineTask({ name: 'ping', run: () => 'pong' });
const report = defineContract({
  name: 'report',
  params: z.object({ day: z.string() }),
  result: z.object({ pages: z.number() }),
});

// Params are the schema's input: what has a default may be left out.
await client.enqueue(resize, { url: 'x' });
await client.enqueue(ping);
await client.enqueue(ping, {}, { delay: '5s', priority: 'high', id: 'once' });
await client.enqueue(report, { day: 'today' });
await client.enqueueMany(resize, [{ params: { url: 'x' } }, { params: { url: 'y' }, id: 'second' }]);

// @ts-expect-error url is a string
await client.enqueue(resize, { url: 1 });
// @ts-expect-error params are needed
await client.enqueue(resize);
// @ts-expect-error no such priority
await client.enqueue(ping, {}, { priority: 'urgent' });
// @ts-expect-error each item has params
await client.enqueueMany(resize, [{ url: 'x' }]);

// By name, with a type-only import of the task.
await client.enqueue<typeof resize>('resize', { url: 'x' });
// @ts-expect-error url is missing
await client.enqueue<typeof resize>('resize', { width: 5 });
// Without a type nothing is known, and nothing is checked here.
await client.enqueue('anything', { at: 'all' });

// What is awaited is what the task returns, or what its contract says.
const { pixels }: { pixels: number } = await client.enqueueAndWait(resize, { url: 'x' }, { timeout: '5s' });
const { pages }: { pages: number } = await client.enqueueAndWait(report, { day: 'today' });
const pong: string = await client.enqueueAndWait<typeof ping>('ping');
// @ts-expect-error it is a string
const wrong: number = await client.enqueueAndWait(ping);

export const used = [pixels, pages, pong, wrong];
