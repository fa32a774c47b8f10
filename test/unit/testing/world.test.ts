/** `createWorld`: days of schedules in a moment, with the same decisions as in production. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { cron, defineApp, defineTask, every } from '../../../src/index.ts';
import { createWorld } from '../../../src/testing.ts';

test('a schedule in code runs once for each of its slots, at its nominal time', async () => {
  const tick = defineTask({
    name: 'tick',
    schedule: every('10m'),
    run: ({ run }) => run.slot?.toISOString(),
  });
  await using world = await createWorld({ tasks: [tick], startAt: new Date('2026-03-01T00:01:00Z') });
  await world.advance('1h');
  const slots = ['00:10', '00:20', '00:30', '00:40', '00:50', '01:00'].map(
    (time) => `2026-03-01T${time}:00.000Z`,
  );
  assert.deepEqual(
    world.runs('tick').map((run) => run.result),
    slots,
  );
  assert.deepEqual(
    world.runs('tick').map((run) => run.startedAt.toISOString()),
    slots,
  );
});

test('a daily cron over a change of the clocks runs once a day, by local time', async () => {
  const report = defineTask({
    name: 'report',
    schedule: cron('30 2 * * *', { timeZone: 'Europe/Rome' }),
    run: () => undefined,
  });
  await using world = await createWorld({ tasks: [report], startAt: new Date('2026-03-27T12:00:00Z') });
  await world.advance('3d');
  const slots = world.runs('report').map((run) => run.slot?.toISOString());
  // 02:30 does not exist on 29 March: it runs at the end of the gap.
  assert.deepEqual(slots, [
    '2026-03-28T01:30:00.000Z',
    '2026-03-29T01:00:00.000Z',
    '2026-03-30T00:30:00.000Z',
  ]);
});

test('a failing run is tried again after its whole back-off, and its child is enqueued once', async () => {
  const child = defineTask({
    name: 'child',
    params: z.object({ n: z.number() }),
    run: ({ params }) => params.n,
  });
  const flaky = defineTask({
    name: 'flaky',
    retry: { attempts: 3, backoff: '1m' },
    async run({ run, enqueue }) {
      await enqueue(child, { n: 7 });
      if (run.attempt < 3) throw new Error(`attempt ${run.attempt} fails`);
      return 'done';
    },
  });
  await using world = await createWorld({ tasks: [flaky, child] });
  await world.client.enqueue(flaky);
  await world.advance('10m');
  const attempts = world
    .runs('flaky')
    .map(({ outcome, startedAt }) => `${outcome} ${startedAt.toISOString().slice(11, 16)}`);
  assert.deepEqual(attempts, ['retry 00:00', 'retry 00:01', 'succeeded 00:03']);
  assert.deepEqual(
    world.runs('child').map((run) => run.result),
    [7],
  );
});

test('objects are in force beside code: Forbid skips while a run is in flight, and the decisions say so', async () => {
  const app = defineApp({ deps: () => ({ pause: 90_000 }) });
  let release = (): void => undefined;
  const slow = app.defineTask({
    name: 'slow',
    timeout: '1h',
    run: ({ signal }) =>
      new Promise<void>((resolve) => {
        release = resolve;
        signal.addEventListener('abort', () => resolve());
      }),
  });
  const object = {
    apiVersion: 'tidemill.dev/v1alpha1',
    kind: 'ScheduledTask',
    metadata: { name: 'slowly', namespace: 'team' },
    spec: { task: 'slow', every: '1m' },
  };
  await using world = await createWorld({
    tasks: [slow],
    app,
    schedules: [object],
    startAt: new Date('2026-01-01T00:00:30Z'),
  });
  await world.advance('3m');
  release();
  await world.advance('1m');
  const decisions = await world.decisions('slowly', 'team');
  assert.deepEqual(
    decisions.map(({ decision, reason, count }) =>
      `${decision} ${reason ?? ''} ${count}`.replaceAll('  ', ' '),
    ),
    ['fired 1', 'skipped Overlap 2', 'fired 1'],
  );
});

test('a wrong object is refused with its field, value and rule', async () => {
  const tick = defineTask({ name: 'tick', run: () => undefined });
  const object = {
    apiVersion: 'tidemill.dev/v1alpha1',
    kind: 'ScheduledTask',
    metadata: { name: 'x' },
    spec: { task: 'tick', every: '1d' },
  };
  await assert.rejects(
    createWorld({ tasks: [tick], schedules: [object] }),
    /schedules\[0\]: spec\.every: "1d": must be a duration/,
  );
});
