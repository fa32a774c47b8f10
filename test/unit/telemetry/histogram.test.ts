import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram as PromHistogram, Registry } from 'prom-client';
import { Histogram } from '../../../src/telemetry/histogram.ts';

const OPTIONS = { name: 'took_seconds', help: 'A \\ and\na line', buckets: [0.005, 1, 60] };

test('the text is what prom-client writes for the same observations, label values escaped', async () => {
  const labels = ['task', 'executor'];
  const registry = new Registry();
  const theirs = new PromHistogram({ ...OPTIONS, labelNames: labels, registers: [registry] });
  const ours = new Histogram({ ...OPTIONS, labels });
  const touched = { task: 'idle', executor: 'cpu' };
  theirs.zero(touched);
  ours.series(touched).touch();
  for (const task of ['plain', 'odd "\\\n name']) {
    for (const value of [0, 0.005, 0.0051, 1, 59.5, 61, 1e9]) {
      theirs.observe({ task, executor: 'io' }, value);
      ours.series({ task, executor: 'io' }).observe(value);
    }
  }
  assert.equal(ours.render(), await registry.metrics());
});

test('a histogram without labels has its series from the start, as in prom-client', async () => {
  const registry = new Registry();
  new PromHistogram({ ...OPTIONS, registers: [registry] });
  assert.equal(new Histogram({ ...OPTIONS, labels: [] }).render(), await registry.metrics());
});

test('a held series is the one that is found by its labels, in any order, and is not seen before it is used', () => {
  const histogram = new Histogram({ ...OPTIONS, labels: ['a', 'b'] });
  const held = histogram.series({ a: '1', b: '2' });
  assert.equal(held, histogram.series({ b: '2', a: '1' }));
  assert.notEqual(held, histogram.series({ a: '2', b: '1' }));
  assert.doesNotMatch(histogram.render(), /_count/);
  held.observe(0.5);
  held.touch();
  assert.match(histogram.render(), /^took_seconds_count\{a="1",b="2"\} 1$/m);
});

test('a value that is no finite number is refused and spoils nothing', () => {
  const histogram = new Histogram({ ...OPTIONS, labels: [] });
  for (const value of [Number.NaN, Infinity]) {
    assert.throws(() => histogram.series({}).observe(value), TypeError);
  }
  assert.match(histogram.render(), /^took_seconds_sum 0$/m);
});
