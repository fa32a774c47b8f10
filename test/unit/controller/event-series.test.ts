/** Like occurrences as one event with a count, at a bounded rate. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EventIntent } from '../../../src/controller/event-intents.ts';
import { EventSeries } from '../../../src/controller/event-series.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const target = (uid = 'u1') => ({ namespace: 'default', name: 'a', uid });
const skipped = (message = 'skipped slot 1'): EventIntent => ({
  reason: 'RunSkipped',
  message,
  likeness: 'Overlap',
});

/** Writes whatever may be written, second by second. */
function drain(series: EventSeries, fromMs: number, untilMs: number) {
  const written: string[] = [];
  for (let atMs = fromMs; atMs <= untilMs; atMs += 100)
    for (let due = series.take(atMs); due !== undefined; due = series.take(atMs)) {
      written.push(`${due.kind} ${due.record.reason} ×${due.record.count}`);
      series.wrote(due);
    }
  return written;
}

describe('a series of events', () => {
  test('the first occurrence is an event, like ones raise its count, and its message stays', () => {
    const series = new EventSeries(0);
    series.add(target(), skipped(), 0, 0);
    const first = series.take(0);
    assert.equal(first?.kind, 'create');
    series.wrote(first);
    for (let n = 1; n <= 9; n += 1)
      series.add(target(), skipped(`skipped slot ${n}`), n * SECOND, n * SECOND);
    const repeat = series.take(11 * SECOND);
    assert.equal(repeat?.kind, 'repeat');
    const { count, message, lastMs, firstMs, eventName } = repeat.record;
    assert.deepEqual(
      { count, message, lastMs, firstMs },
      {
        ...{ count: 10, message: 'skipped slot 1', lastMs: 9 * SECOND, firstMs: 0 },
      },
    );
    assert.equal(eventName, first.record.eventName);
  });

  test('other reasons, likenesses and objects are events of their own', () => {
    const series = new EventSeries(0);
    series.add(target(), skipped(), 0, 0);
    series.add(target(), { ...skipped(), likeness: 'other' }, 0, 0);
    series.add(target(), { reason: 'RunReplaced', message: 'm' }, 0, 0);
    series.add(target('u2'), skipped(), 0, 0);
    assert.equal(drain(series, 0, SECOND).length, 4);
  });

  test('after six quiet minutes the next occurrence is an event of its own, with its own message', () => {
    const series = new EventSeries(0);
    series.add(target(), skipped(), 0, 0);
    drain(series, 0, SECOND);
    series.add(target(), skipped('later'), 7 * MINUTE, 7 * MINUTE);
    const due = series.take(7 * MINUTE);
    assert.equal(due?.kind, 'create');
    assert.equal(due.record.message, 'later');
    assert.equal(due.record.count, 1);
  });

  test('one object has 25 writes, and then one every five minutes, and no occurrence is lost from the count', () => {
    const series = new EventSeries(0);
    const written: string[] = [];
    for (let atMs = 0; atMs < 60 * MINUTE; atMs += SECOND) {
      series.add(target(), skipped(), atMs, atMs);
      written.push(...drain(series, atMs, atMs));
    }
    assert.ok(written.length >= 34 && written.length <= 37, `${written.length} writes in an hour`);
    const counts = Number(written.at(-1)?.split('×')[1]);
    assert.ok(counts > 3_200, `${counts} of 3,600 told by the last write`);
  });

  test('all objects together have a burst of 10 and 3 a second, warnings before what is normal', () => {
    const series = new EventSeries(0);
    for (let n = 0; n < 150; n += 1)
      series.add(target(`n${n}`), { reason: 'ScheduleAccepted', message: 'accepted' }, 0, 0);
    for (let n = 0; n < 20; n += 1)
      series.add(target(`w${n}`), { reason: 'QueueNotAllowed', message: 'no' }, 0, 0);
    const firstSecond = drain(series, 0, SECOND - 1);
    assert.ok(firstSecond.length <= 13 && firstSecond.length >= 10, `${firstSecond.length}`);
    assert.ok(firstSecond.every((line) => line.includes('QueueNotAllowed')));
    assert.equal(drain(series, SECOND, MINUTE).length + firstSecond.length, 170);
  });

  test('a write that failed is made again, with what came since', () => {
    const series = new EventSeries(0);
    series.add(target(), skipped(), 0, 0);
    const due = series.take(0);
    assert.ok(due);
    series.add(target(), skipped(), SECOND, SECOND);
    series.retry(due, SECOND);
    const again = series.take(11 * SECOND);
    assert.deepEqual([again?.kind, again?.record.count], ['create', 2]);
  });

  test('an event that is gone begins anew, and nothing waits for what is forgotten', () => {
    const series = new EventSeries(0);
    series.add(target(), skipped(), 0, 0);
    drain(series, 0, 0);
    series.add(target(), skipped(), SECOND, SECOND);
    const repeat = series.take(11 * SECOND);
    assert.equal(repeat?.kind, 'repeat');
    series.forget(repeat);
    assert.equal(series.nextAtMs(12 * SECOND), undefined);
    series.add(target(), skipped(), 12 * SECOND, 12 * SECOND);
    assert.equal(series.take(12 * SECOND)?.kind, 'create');
  });

  test('of a flood only so many wait, warnings apart from what is normal, and messages are bounded', () => {
    const series = new EventSeries(0);
    const flood = (reason: 'RunFailed' | 'ScheduleAccepted', atMs: number) =>
      Array.from({ length: 3_000 }, (_, n) =>
        series.add(target(`${reason} ${n}`), { reason, message: 'x'.repeat(5_000) }, atMs, atMs),
      ).filter((taken) => taken).length;
    assert.deepEqual([flood('ScheduleAccepted', 0), flood('RunFailed', 0)], [200, 1_000]);
    assert.equal(series.take(0)?.record.message.length, 1_000);
    drain(series, 0, 10 * MINUTE);
    series.sweep(20 * MINUTE);
    assert.equal(flood('ScheduleAccepted', 20 * MINUTE), 200);
  });
});
