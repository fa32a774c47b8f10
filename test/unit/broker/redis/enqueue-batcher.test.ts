/** How enqueue calls are gathered into batches: sizes, bounds and time, without a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EnqueueOutcome } from '../../../../src/broker/broker.ts';
import {
  EnqueueBatcher,
  MOST_WAITING_RUNS,
  PRODUCER_SLOTS,
  type Batch,
  type EncodedRun,
} from '../../../../src/broker/redis/enqueue-batcher.ts';
import { TidemillError } from '../../../../src/runtime/errors.ts';
import { VirtualClock } from '../../../../src/runtime/virtual-clock.ts';

const run = (id: string, params = 'body'): EncodedRun => ({
  ...{ id, preamble: '', params },
  timing: ['after', '0', ''],
});
const runs = (count: number, params?: string): readonly EncodedRun[] =>
  Array.from({ length: count }, (_, index) => run(`run-${index}`, params));

interface Sent {
  readonly batch: Batch;
  readonly answer: (outcome?: EnqueueOutcome) => void;
  readonly fail: (error: unknown) => void;
}

/** A batcher whose batches are answered when the test says so. */
function world() {
  const clock = new VirtualClock(0);
  const sent: Sent[] = [];
  const batcher = new EnqueueBatcher((batch) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly EnqueueOutcome[]>();
    sent.push({
      batch,
      answer: (outcome = 'enqueued') => resolve(batch.runs.map(() => outcome)),
      fail: reject,
    });
    return promise;
  }, clock);
  return { clock, sent, batcher };
}

/** Each in a turn of its own, so that each takes a slot. */
async function takeAllSlots(batcher: EnqueueBatcher): Promise<void> {
  for (let slot = 0; slot < PRODUCER_SLOTS; slot += 1) {
    // What becomes of it is the business of tests that look at it; no error may be unhandled.
    batcher.add([run(`slot-${slot}`)]).catch(() => undefined);
    await nextTurn();
    await nextTurn();
  }
}

const errorOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => assert.fail('the call was expected to be refused'),
    (error: unknown) => error,
  );

test('calls of one turn share a batch, and each has the outcomes of its own runs', async () => {
  const { batcher, sent } = world();
  const calls = [batcher.add([run('a')]), batcher.add([run('b'), run('c')]), batcher.add([run('d')])];
  await nextTurn();
  assert.deepEqual(
    sent.map(({ batch }) => batch.runs.map(({ id }) => id)),
    [['a', 'b', 'c', 'd']],
  );
  sent[0]?.answer('duplicate');
  assert.deepEqual(await Promise.all(calls), [['duplicate'], ['duplicate', 'duplicate'], ['duplicate']]);
});

test('no more batches are under way than there are slots, no two in one slot; the rest share the next', async () => {
  const { batcher, sent } = world();
  await takeAllSlots(batcher);
  const later = Array.from({ length: 100 }, (_, index) => batcher.add([run(`later-${index}`)]));
  await nextTurn();
  assert.equal(sent.length, PRODUCER_SLOTS);
  assert.equal(new Set(sent.map(({ batch }) => batch.slot)).size, PRODUCER_SLOTS);
  sent[3]?.answer();
  await nextTurn();
  await nextTurn();
  assert.equal(sent.length, PRODUCER_SLOTS + 1);
  const next = sent.at(-1);
  assert.equal(next?.batch.slot, sent[3]?.batch.slot);
  assert.equal(next?.batch.runs.length, 100);
  assert.ok(
    sent.every(({ batch }, index) => index === 0 || batch.number > (sent[index - 1]?.batch.number ?? 0)),
  );
  next.answer();
  assert.equal((await Promise.all(later)).length, 100);
});

test('a batch of several calls is bounded in runs and in characters; a larger call goes whole and alone', async () => {
  const { batcher, sent } = world();
  void batcher.add([run('small')]);
  void batcher.add(runs(5_000));
  for (let index = 0; index < 300; index += 1) void batcher.add([run(`single-${index}`)]);
  const large = 'x'.repeat(700_000);
  void batcher.add([run('large-1', large)]);
  void batcher.add([run('large-2', large)]);
  await nextTurn();
  assert.deepEqual(
    sent.map(({ batch }) => batch.runs.length),
    [1, 5_000, 256, 45, 1],
  );
});

test('a batch that is refused is refused for each of its calls, and the next goes on', async () => {
  const { batcher, sent } = world();
  const calls = [batcher.add([run('a')]), batcher.add([run('b')])];
  await nextTurn();
  const refusal = new TidemillError('BROKER_REFUSED', 'full');
  sent[0]?.fail(refusal);
  assert.deepEqual(await Promise.all(calls.map(errorOf)), [refusal, refusal]);
  const next = batcher.add([run('c')]);
  await nextTurn();
  sent[1]?.answer();
  assert.deepEqual(await next, ['enqueued']);
});

test('beyond a bound in runs, and in characters, a call is refused at once and says that it was not sent', async () => {
  for (const most of [runs(MOST_WAITING_RUNS), runs(1, 'x'.repeat(64 * 1024 * 1024))]) {
    const { batcher } = world();
    await takeAllSlots(batcher);
    const waiting = batcher.add(most);
    const error = await errorOf(batcher.add([run('too-many')]));
    assert.ok(error instanceof TidemillError);
    assert.equal(error.code, 'BROKER_UNAVAILABLE');
    assert.match(error.message, /wait to be sent to Redis already; this call was not sent/);
    batcher[Symbol.dispose]();
    await errorOf(waiting);
  }
});

test('a call that has no slot while nothing is answered is given up in time, unsent; answers give it more time', async () => {
  const { batcher, sent, clock } = world();
  await takeAllSlots(batcher);
  await clock.advanceBy(1_500);
  const waiting = batcher.add(runs(200));
  const behind = errorOf(batcher.add(runs(200)));
  await clock.advanceBy(1_500);
  sent[0]?.answer();
  await nextTurn();
  await nextTurn();
  assert.equal(sent.length, PRODUCER_SLOTS + 1, 'the first that waited is under way');
  await clock.advanceBy(2_000);
  assert.equal(await Promise.race([behind, nextTurn('still waiting')]), 'still waiting');
  await clock.advanceBy(300);
  const error = await behind;
  assert.ok(error instanceof TidemillError);
  assert.equal(error.code, 'BROKER_UNAVAILABLE');
  assert.match(error.message, /was not sent/);
  sent.at(-1)?.answer();
  assert.equal((await waiting).length, 200);
});

test('the deadline of a batch is that of its oldest call, and leaves time for two tries', async () => {
  const { batcher, sent, clock } = world();
  await takeAllSlots(batcher);
  const startMs = clock.monotonic();
  void batcher.add([run('a')]);
  await clock.advanceBy(1_000);
  void batcher.add([run('b')]);
  sent[0]?.fail(new TidemillError('BROKER_UNAVAILABLE', 'lost'));
  await nextTurn();
  await nextTurn();
  assert.deepEqual(sent.at(-1)?.batch.deadlineMs, startMs + 4_400);
});

test('closing refuses what waits and what comes after, twice without harm', async () => {
  const { batcher } = world();
  await takeAllSlots(batcher);
  const waiting = errorOf(batcher.add([run('waiting')]));
  batcher[Symbol.dispose]();
  batcher[Symbol.dispose]();
  for (const error of [await waiting, await errorOf(batcher.add([run('late')]))]) {
    assert.ok(error instanceof TidemillError);
    assert.equal(error.code, 'BROKER_CLOSED');
  }
});
