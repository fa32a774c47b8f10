import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FIRST_RETRY_MS, LONGEST_RETRY_MS, WorkQueue } from '../../../src/controller/work-queue.ts';

describe('work queue', () => {
  let nowMs = 0;
  let queue: WorkQueue<string>;
  beforeEach(() => {
    nowMs = 0;
    queue = new WorkQueue(() => nowMs);
  });

  test('a key that is marked many times is handed out once', () => {
    for (let i = 0; i < 5; i += 1) queue.add('a');
    queue.add('b');
    assert.deepEqual(queue.take(10), ['a', 'b']);
    assert.deepEqual(queue.take(10), []);
  });

  test('a key that is marked while it is worked on is handed out again after it is done, and not before', () => {
    queue.add('a');
    assert.deepEqual(queue.take(10), ['a']);
    queue.add('a');
    assert.deepEqual(queue.take(10), []);
    assert.equal(queue.nextAtMs, undefined);
    queue.done('a');
    assert.deepEqual(queue.take(10), ['a']);
  });

  test('take hands out no more than asked for, and the rest stays in order', () => {
    for (const key of ['a', 'b', 'c']) queue.add(key);
    assert.deepEqual(queue.take(2), ['a', 'b']);
    assert.deepEqual(queue.take(2), ['c']);
  });

  test('a key that keeps failing is never tried more than once a second, and less and less often', () => {
    const waits: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      queue.retry('a');
      const nextMs = queue.nextAtMs;
      assert.ok(nextMs !== undefined);
      waits.push(nextMs - nowMs);
      nowMs = nextMs - 1;
      assert.deepEqual(queue.take(10), []);
      nowMs = nextMs;
      assert.deepEqual(queue.take(10), ['a']);
      queue.done('a');
    }
    assert.equal(waits[0], FIRST_RETRY_MS);
    assert.equal(waits.at(-1), LONGEST_RETRY_MS);
    assert.deepEqual(
      waits,
      waits.toSorted((a, b) => a - b),
    );
  });

  test('a key that recovered waits the shortest time again after its next failure', () => {
    queue.retry('a');
    queue.retry('a');
    queue.recovered('a');
    nowMs = LONGEST_RETRY_MS;
    queue.take(10);
    queue.done('a');
    queue.retry('a');
    assert.equal(queue.nextAtMs, nowMs + FIRST_RETRY_MS);
  });

  test('a forgotten key leaves nothing behind', () => {
    queue.add('a');
    queue.retry('b');
    queue.forget('a');
    queue.forget('b');
    nowMs = LONGEST_RETRY_MS;
    assert.deepEqual(queue.take(10), []);
    assert.equal(queue.nextAtMs, undefined);
  });
});
