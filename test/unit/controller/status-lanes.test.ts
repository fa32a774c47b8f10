/** Which object's status is written next. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StatusLanes } from '../../../src/controller/status-lanes.ts';
import type { StatusLane } from '../../../src/controller/status-store.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/** Takes whatever may be taken, ms by ms. */
function drain(lanes: StatusLanes, lane: StatusLane, fromMs: number, untilMs: number) {
  const taken: { readonly key: string; readonly atMs: number }[] = [];
  for (let atMs = fromMs; atMs <= untilMs; atMs += 1)
    for (let key = lanes.take(lane, atMs); key !== undefined; key = lanes.take(lane, atMs))
      taken.push({ key, atMs });
  return taken;
}

function mostInASecond(taken: readonly { readonly atMs: number }[]): number {
  return Math.max(
    ...taken.map(
      ({ atMs }) => taken.filter((other) => other.atMs >= atMs && other.atMs < atMs + SECOND).length,
    ),
  );
}

describe('the lanes of status writes', () => {
  test('in no second are more than 200 urgent ones and 20 refreshes taken, and not far fewer', () => {
    const lanes = new StatusLanes(0);
    for (let n = 0; n < 1_000; n += 1) lanes.putUrgent(`u${n}`, 0);
    for (let n = 0; n < 1_000; n += 1) lanes.putRefresh(`r${n}`, MINUTE, 0);
    const urgent = drain(lanes, 'urgent', 0, 3 * SECOND);
    const refreshed = drain(lanes, 'refresh', 0, 10 * SECOND);
    assert.ok(mostInASecond(urgent) <= 200 && urgent.length >= 550, `${urgent.length}`);
    assert.ok(mostInASecond(refreshed) <= 20 && refreshed.length >= 140, `${refreshed.length}`);
  });

  test('a thousand waiting refreshes hold back no urgent write', () => {
    const lanes = new StatusLanes(0);
    for (let n = 0; n < 1_000; n += 1) lanes.putRefresh(`r${n}`, DAY, 0);
    drain(lanes, 'refresh', 0, SECOND);
    lanes.putUrgent('u', SECOND);
    assert.equal(lanes.nextAtMs('urgent', SECOND), SECOND);
    assert.equal(lanes.take('urgent', SECOND), 'u');
  });

  test('long periods are refreshed first, and yet every fourth goes to whoever waits longest', () => {
    const lanes = new StatusLanes(0);
    lanes.putRefresh('fast', SECOND, 0);
    assert.equal(lanes.nextAtMs('refresh', 0), 0);
    for (let n = 0; n < 50; n += 1) lanes.putRefresh(`daily${n}`, DAY, 1);
    lanes.putRefresh('hourly', 60 * MINUTE, 1);
    const order = drain(lanes, 'refresh', 1, 5 * SECOND).map(({ key }) => key);
    assert.deepEqual(
      order.slice(0, 3).map((key) => key.replace(/\d+/, '')),
      ['daily', 'daily', 'daily'],
    );
    assert.ok(
      order.indexOf('fast') === 3,
      `the fast one came as number ${order.indexOf('fast')} of ${order.length}`,
    );
    assert.ok(order.length === 52);
  });

  test('among like periods those come first that wait longer', () => {
    const lanes = new StatusLanes(0);
    for (let n = 0; n < 6; n += 1) {
      lanes.putRefresh(`r${n}`, MINUTE + n, n);
      assert.notEqual(lanes.nextAtMs('refresh', n), undefined);
    }
    const order = drain(lanes, 'refresh', 0, SECOND).map(({ key }) => key);
    assert.deepEqual(order, ['r0', 'r1', 'r2', 'r3', 'r4', 'r5']);
  });

  test('a key stands in one lane only, the urgent one winning', () => {
    const lanes = new StatusLanes(0);
    lanes.putRefresh('a', MINUTE, 0);
    lanes.putUrgent('a', 0);
    assert.deepEqual(lanes.waiting, { urgent: 1, refresh: 0 });
    lanes.putRefresh('a', MINUTE, 0);
    assert.deepEqual(lanes.waiting, { urgent: 0, refresh: 1 });
    lanes.drop('a');
    assert.deepEqual(lanes.waiting, { urgent: 0, refresh: 0 });
    assert.equal(lanes.nextAtMs('refresh', 0), undefined);
  });

  test('nothing is taken before its time', () => {
    const lanes = new StatusLanes(0);
    lanes.putUrgent('u', 100);
    lanes.putRefresh('r', MINUTE, 200);
    assert.equal(lanes.take('urgent', 99), undefined);
    assert.equal(lanes.take('refresh', 199), undefined);
    assert.equal(lanes.nextAtMs('urgent', 0), 100);
    assert.equal(lanes.nextAtMs('refresh', 0), 200);
    assert.equal(lanes.take('urgent', 100), 'u');
    assert.equal(lanes.take('refresh', 200), 'r');
  });
});
