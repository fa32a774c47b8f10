/** The regression check of the benches: what is taken from a result, and when it counts as worse. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparable, worseBy } from '../../bench/lib/compared.ts';

test('a ratio that should be high is worse when it falls, one that should be low when it rises', () => {
  const close = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-9);
  close(worseBy({ value: 5, better: 'higher' }, { value: 4, better: 'higher' }), 0.2);
  close(worseBy({ value: 5, better: 'higher' }, { value: 6, better: 'higher' }), -0.2);
  close(worseBy({ value: 0.5, better: 'lower' }, { value: 0.75, better: 'lower' }), 0.5);
  close(worseBy({ value: 0.5, better: 'lower' }, { value: 0.25, better: 'lower' }), -0.5);
});

test('the first missed slot is worse by more than any tolerance', () => {
  assert.equal(worseBy({ value: 0, better: 'lower' }, { value: 1, better: 'lower' }), Infinity);
  assert.equal(worseBy({ value: 0, better: 'lower' }, { value: 0, better: 'lower' }), 0);
});

test('latencies are compared with those of the peers in the same run', () => {
  const p50Ms = { tidemill: 0.3, bullmq: 0.6, beeQueue: 0.2 };
  const result = {
    ...{ name: 'latency', p50Ms, p99Ms: p50Ms },
    idleConsumers: { '10': { p50Ms: 1, claimsPerRun: 1 }, '50': { p50Ms: 1, claimsPerRun: 1.2 } },
  };
  assert.deepEqual(comparable('latency', result)['latency.p50VsBullmq'], { value: 0.5, better: 'lower' });
});

test('a result that lacks what is compared is refused, and so is a bench that does not exist', () => {
  assert.throws(() => comparable('queue', { name: 'queue' }));
  assert.throws(() => comparable('nothing', {}), /there is no bench nothing/);
});
