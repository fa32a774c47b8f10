import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  conditionFlags,
  firesAnyway,
  NOT_READY_REASONS,
  READY_REASONS,
} from '../../../src/resource/conditions.ts';

const MINUTE_MS = 60_000;

for (const reason of READY_REASONS) {
  test(`${reason} is ready, neither stalled nor reconciling`, () => {
    assert.deepEqual(conditionFlags(reason, 60 * MINUTE_MS, false), {
      Ready: true,
      Stalled: false,
      Reconciling: false,
    });
  });
}

for (const reason of NOT_READY_REASONS) {
  const waits = reason === 'UnknownTask' || reason === 'InvalidParams';
  test(`${reason} ${waits ? 'reconciles for two minutes and then stalls' : 'stalls at once'}`, () => {
    assert.deepEqual(conditionFlags(reason, 0, false), { Ready: false, Stalled: !waits, Reconciling: waits });
    assert.deepEqual(conditionFlags(reason, 2 * MINUTE_MS, false), {
      Ready: false,
      Stalled: true,
      Reconciling: false,
    });
  });
}

test('while two schemas of a task are live, params that fit neither do not stall', () => {
  assert.deepEqual(conditionFlags('InvalidParams', 60 * MINUTE_MS, true), {
    Ready: false,
    Stalled: false,
    Reconciling: true,
  });
});

test('runs of an unknown task are made and wait for a consumer; those of a wrong schedule are not', () => {
  assert.deepEqual([...READY_REASONS, ...NOT_READY_REASONS].filter(firesAnyway), [
    'Scheduled',
    'NoConsumer',
    'UnknownTask',
  ]);
});
