import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DueSlots } from '../../../src/controller/due-slots.ts';

const EARLY = { aheadMs: 45, crowd: 3, withinMs: 10 };

function slotsAt(...instants: readonly number[]): DueSlots<string> {
  const due = new DueSlots<string>(EARLY);
  for (const [index, atMs] of instants.entries()) due.setSlot(`s${index}`, atMs);
  return due;
}

function handedOut(due: DueSlots<string>, nowMs: number): readonly string[] {
  const horizonMs = due.horizonMs(nowMs);
  const keys: string[] = [];
  for (let key = due.popDue(nowMs, horizonMs); key !== undefined; key = due.popDue(nowMs, horizonMs))
    keys.push(key);
  return keys;
}

describe('slots that are due', () => {
  test('a few are handed out when they have come', () => {
    const due = slotsAt(1_000, 1_000);
    assert.equal(due.nextMs, 1_000);
    assert.deepEqual(handedOut(due, 999), []);
    assert.deepEqual(handedOut(due, 1_000).toSorted(), ['s0', 's1']);
    assert.equal(due.nextMs, undefined);
  });

  test('a crowd is handed out a little ahead, all of it that is near', () => {
    const due = slotsAt(1_000, 1_010, 1_010, 1_020, 1_090);
    assert.equal(due.nextMs, 1_010 - 45);
    assert.deepEqual(handedOut(due, 964), []);
    assert.deepEqual(handedOut(due, 965).toSorted(), ['s0', 's1', 's2']);
    assert.equal(due.nextMs, 1_020);
  });

  test('a steady stream is no crowd', () => {
    const due = slotsAt(1_000, 1_006, 1_012, 1_018);
    assert.equal(due.nextMs, 1_000);
    assert.deepEqual(handedOut(due, 999), []);
    assert.deepEqual(handedOut(due, 1_000), ['s0']);
  });

  test('what may not be early waits for its time beside a crowd, and does not count for one', () => {
    const due = slotsAt(1_000, 1_000);
    due.set('exact', 1_000);
    assert.equal(due.nextMs, 1_000);
    due.setSlot('s2', 1_000);
    assert.deepEqual(handedOut(due, 960).toSorted(), ['s0', 's1', 's2']);
    assert.equal(due.nextMs, 1_000);
    assert.deepEqual(handedOut(due, 1_000), ['exact']);
  });

  test('a key stands in one place: moved, it is handed out once', () => {
    const due = slotsAt(10, 20, 30);
    due.set('s0', 50);
    due.set('s1', 15);
    due.setSlot('s1', 40);
    due.delete('s2');
    assert.deepEqual(handedOut(due, 100), ['s1', 's0']);
  });

  test('what was due first comes first, of both kinds', () => {
    const due = slotsAt(10, 30);
    due.set('a', 20);
    due.set('b', 40);
    assert.deepEqual(handedOut(due, 100), ['s0', 'a', 's1', 'b']);
  });
});
