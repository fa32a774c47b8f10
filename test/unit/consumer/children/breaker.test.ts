import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  afterFailure,
  afterStart,
  type Breaker,
  CLOSED_BREAKER,
  maxStarting,
  waitBeforeStart,
} from '../../../../src/consumer/children/breaker.ts';

const POLICY = { threshold: 3, backoffMs: 100, maxBackoffMs: 1_000 };

function failed(times: number, nowMs = 0, from: Breaker = CLOSED_BREAKER): Breaker {
  let breaker = from;
  for (let count = 0; count < times; count++) breaker = afterFailure(breaker, POLICY, nowMs);
  return breaker;
}

test('the breaker opens at the threshold, not before', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((times) => failed(times).open),
    [false, false, false, true, true],
  );
});

test('the wait before the next start doubles with each failure up to its cap', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 2_000].map((times) => waitBeforeStart(failed(times, 50), 50)),
    [100, 200, 400, 800, 1_000, 1_000, 1_000],
  );
});

test('the wait passes with time and is never negative', () => {
  const breaker = failed(1, 1_000);
  assert.equal(waitBeforeStart(breaker, 1_060), 40);
  assert.equal(waitBeforeStart(breaker, 5_000), 0);
  assert.equal(waitBeforeStart(CLOSED_BREAKER, 5_000), 0);
});

test('after a failure one child starts at a time', () => {
  assert.equal(maxStarting(CLOSED_BREAKER, 8), 8);
  assert.equal(maxStarting(failed(1), 8), 1);
});

test('a start closes an open breaker but keeps its failures, so that the next failure opens it again', () => {
  const started = afterStart(failed(3));
  assert.equal(started.open, false);
  const again = failed(1, 0, started);
  assert.equal(again.open, true);
  assert.equal(waitBeforeStart(again, 0), 800);
});
