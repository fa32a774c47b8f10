/** CPU-bound runs whose child process misbehaves: each ends with the right reason, and its consumer goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet, QUEUE } from './fleet.ts';

test('children that exit silently, exhaust their heap, ignore SIGTERM or flood stdout end as what they are, and neighbours succeed', async (t) => {
  await using fleet = await Fleet.start();
  const consumer = await fleet.consumer(
    '--cpu-concurrency',
    '2',
    '--kill-grace',
    '1s',
    '--child-heap',
    '64MiB',
  );
  const bad = [
    ...(await fleet.enqueue('exit-silently', 1, {})),
    ...(await fleet.enqueue('exhaust-heap', 1, {})),
    ...(await fleet.enqueue('ignore-sigterm', 1, {})),
  ];
  const good = [
    ...(await fleet.enqueue('flood-stdout', 1, { megabytes: 200 })),
    ...(await fleet.enqueue('crunch', 10, { ms: 50 })),
  ];
  const account = await fleet.account([...bad, ...good], 120_000);
  const reasonOf = async (id: string): Promise<string | undefined> =>
    (await fleet.client.get(id, { queue: QUEUE }))?.error?.reason;
  assert.deepEqual(await Promise.all(bad.map(reasonOf)), ['ExitedSilently', 'HeapOutOfMemory', 'Timeout']);
  const states = await Promise.all(
    good.map(async (id) => (await fleet.client.get(id, { queue: QUEUE }))?.state),
  );
  assert.deepEqual(new Set(states), new Set(['succeeded']));
  t.diagnostic(
    JSON.stringify({ runs: account.runs, lost: account.lost, settledTwice: account.settledTwice }),
  );
  assert.equal(account.lost, 0);
  assert.equal(account.settledTwice, 0);
  assert.ok(consumer.running);
});
