/** Which slot of a schedule nobody has decided although it came long ago. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { every } from '../../../src/schedule/every.ts';
import { overdueSlot } from '../../../src/cli/overdue.ts';

const MINUTE_MS = 60_000;
const timing = { schedule: every('1m'), text: 'every 1m' };
const state = { suspended: false, withdrawn: false, notBeforeMs: 0 };
const at = (minute: number): number => minute * MINUTE_MS;

describe('a slot is overdue', () => {
  test('when it came more than a minute ago and lies after the last decided one', () => {
    assert.equal(overdueSlot({ ...state, watermarkMs: at(10) }, timing, at(12) + 1), at(11));
    assert.equal(overdueSlot({ ...state, watermarkMs: at(10) }, timing, at(12)), undefined);
    assert.equal(overdueSlot({ ...state, watermarkMs: at(11) }, timing, at(12) + 1), undefined);
  });

  test('when the schedule was never decided, counted from the moment from which it counts', () => {
    assert.equal(overdueSlot({ ...state, notBeforeMs: at(10) }, timing, at(20)), at(10));
    assert.equal(overdueSlot({ ...state, notBeforeMs: at(19) }, timing, at(20)), undefined);
  });

  test('not while it is suspended, deleted, outside its window, or cannot be read', () => {
    const owes = { ...state, watermarkMs: at(10) };
    assert.equal(overdueSlot({ ...owes, suspended: true }, timing, at(20)), undefined);
    assert.equal(overdueSlot({ ...owes, withdrawn: true }, timing, at(20)), undefined);
    assert.equal(overdueSlot(owes, { ...timing, endMs: at(10) }, at(20)), undefined);
    assert.equal(overdueSlot(owes, { schedule: undefined, text: 'broken' }, at(20)), undefined);
    assert.equal(overdueSlot(owes, undefined, at(20)), undefined);
  });
});
