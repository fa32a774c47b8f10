/** Consumers that die, freeze, or are told to stop, under load: nothing is lost, nothing is settled twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { Fleet, QUEUE } from './fleet.ts';

test('consumers killed with kill -9 under load lose no run, and no run is settled twice', async (t) => {
  await using fleet = await Fleet.start();
  const flags = ['--concurrency', '20', '--lease', '2s', '--heartbeat', '500ms'];
  const consumers = await Promise.all([1, 2, 3].map(() => fleet.consumer(...flags)));
  const ids: string[] = [];
  const kills = 5;
  for (let kill = 0; kill < kills; kill += 1) {
    ids.push(...(await fleet.enqueue('work', 1_000, { ms: 20 }, ids.length)));
    const target = fleet.executions() + 300;
    await until('enough of them began', () => fleet.executions() >= target);
    const victim = consumers.shift();
    victim?.signal('SIGKILL');
    await victim?.exited;
    consumers.push(await fleet.consumer(...flags));
  }
  const account = await fleet.account(ids, 120_000);
  t.diagnostic(`kills ${kills}, given back ${fleet.givenBack()}, ${JSON.stringify(account)}`);
  assert.ok(account.extraExecutions > 0, 'the kills hit nothing: the test proves nothing');
  assert.equal(account.lost, 0);
  assert.equal(account.settledTwice, 0);
  assert.ok(account.extraExecutions <= fleet.givenBack(), 'only what a killed consumer held may run again');
});

test('a killed consumer gives its runs back within 15 s at the default lease, another consumer being alive', async (t) => {
  await using fleet = await Fleet.start();
  const victim = await fleet.consumer('--concurrency', '10');
  const ids = await fleet.enqueue('work', 10, { ms: 60_000 });
  await until('all are held', () => fleet.executions() === 10);
  await fleet.consumer('--concurrency', '10');
  victim.signal('SIGKILL');
  const killedAt = performance.now();
  // A suspect runs alone, so nine of the ten wait in their lane; none is held by the dead any more.
  await until('none is held by the dead consumer', async () => {
    const { running } = await fleet.stats();
    return running === 1 && fleet.executions() === 11;
  });
  const recoveredMs = Math.round(performance.now() - killedAt);
  t.diagnostic(`10 runs were back after ${recoveredMs} ms`);
  assert.ok(recoveredMs <= 15_000);
  for (const id of ids) await fleet.client.cancel(id, { queue: QUEUE });
  const account = await fleet.account(ids, 30_000);
  assert.equal(account.lost, 0);
  assert.equal(account.settledTwice, 0);
});

test('a consumer that tasks block again and again still gives back what a dead one held', async (t) => {
  await using fleet = await Fleet.start();
  const flags = ['--concurrency', '1', '--lease', '2s', '--heartbeat', '500ms'];
  const victim = await fleet.consumer(...flags);
  const held = await fleet.enqueue('work', 1, { ms: 60_000 });
  await until('the victim holds it', () => fleet.executions() === 1);
  await fleet.consumer(...flags);
  // Each blocks for longer than half a lease: no recovery pass comes in time for the one before.
  const blocking = await fleet.enqueue('block', 20, { ms: 1_300 });
  await until('the other consumer is blocked', () => fleet.executions() === 2);
  victim.signal('SIGKILL');
  const killedAt = performance.now();
  const isEnded = async (): Promise<boolean> =>
    (await fleet.broker.queue(QUEUE).inspect.consumers()).length === 1;
  await until('the victim is ended', isEnded, { deadlineMs: 10_000 });
  t.diagnostic(`ended after ${Math.round(performance.now() - killedAt)} ms`);
  for (const id of [...held, ...blocking]) await fleet.client.cancel(id, { queue: QUEUE });
  const account = await fleet.account([...held, ...blocking], 30_000);
  assert.equal(account.lost, 0);
  assert.equal(account.settledTwice, 0);
});

test('a consumer frozen past its lease and thawed settles nothing that another consumer has taken over', async (t) => {
  await using fleet = await Fleet.start();
  const flags = ['--concurrency', '5', '--lease', '2s', '--heartbeat', '500ms'];
  const frozen = await fleet.consumer(...flags);
  const ids = await fleet.enqueue('work', 5, { ms: 1_500 });
  await until('the first consumer holds them all', () => fleet.executions() === 5);
  frozen.signal('SIGSTOP');
  await fleet.consumer(...flags);
  await until('the other consumer began them all', () => fleet.executions() === 10, { deadlineMs: 60_000 });
  frozen.signal('SIGCONT');
  const account = await fleet.account(ids, 60_000);
  // The thawed process must have noticed: what it held is not its own any more.
  await frozen.line(/lease/i);
  t.diagnostic(JSON.stringify(account));
  assert.equal(account.lost, 0);
  assert.equal(account.settledTwice, 0);
  assert.equal(account.extraExecutions, 5);
});

test('SIGTERM under load: short runs finish, long ones go back with no attempt used, and the process exits 0', async (t) => {
  await using fleet = await Fleet.start();
  const leaving = await fleet.consumer('--concurrency', '20', '--drain', '2s');
  const short = await fleet.enqueue('work', 10, { ms: 1_000 });
  const long = await fleet.enqueue('work', 10, { ms: 600_000 }, 10);
  await until('all twenty run', () => fleet.executions() === 20);
  leaving.signal('SIGTERM');
  const { code } = await leaving.exited;
  assert.equal(code, 0);
  const records = await Promise.all(long.map((id) => fleet.client.get(id, { queue: QUEUE })));
  assert.deepEqual(
    new Set(records.map((record) => `${record?.state} ${record?.attempt}`)),
    new Set(['pending 0']),
  );
  assert.equal((await fleet.stats()).retainedSucceeded, 10);
  for (const id of long) await fleet.client.cancel(id, { queue: QUEUE });
  const account = await fleet.account([...short, ...long], 10_000);
  t.diagnostic(JSON.stringify(account));
  assert.equal(account.lost, 0);
  assert.equal(account.settledTwice, 0);
  assert.equal(account.extraExecutions, 0);
});

test('a consumer whose first run blocks its event loop keeps the lease of it from the start', async (t) => {
  await using fleet = await Fleet.start();
  const flags = ['--lease', '4s', '--heartbeat', '500ms', '--concurrency', '1'];
  // It waits for the consumer, which claims it with its first breath.
  const ids = await fleet.enqueue('block', 1, { ms: 8_500 });
  await fleet.consumer(...flags);
  await until('the run began', () => fleet.executions() === 1);
  await fleet.consumer(...flags);
  const account = await fleet.account(ids, 30_000);
  t.diagnostic(JSON.stringify(account));
  assert.deepEqual(account, { runs: 1, lost: 0, settledTwice: 0, extraExecutions: 0 });
});

test('an IO task that blocks its event loop for twice the lease keeps its lease and runs once', async (t) => {
  await using fleet = await Fleet.start();
  // Long beside what the thread that renews the lease takes to start on a machine that is busy.
  const flags = ['--lease', '4s', '--heartbeat', '500ms'];
  await fleet.consumer(...flags);
  await fleet.consumer(...flags, '--concurrency', '1');
  const ids = await fleet.enqueue('block', 1, { ms: 8_500 });
  const account = await fleet.account(ids, 30_000);
  t.diagnostic(JSON.stringify(account));
  assert.deepEqual(account, { runs: 1, lost: 0, settledTwice: 0, extraExecutions: 0 });
});
