/** The pictures of the benches: where a value stands, and that any text can stand in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chartPage, logScale } from '../../bench/lib/chart.ts';
import { powersOfTen } from '../../bench/lib/growth.ts';

test('a scale goes from the power of ten below the values to the one above', () => {
  const { powers, share } = logScale([30, 2_000]);
  assert.deepEqual(powers, [10, 100, 1_000, 10_000]);
  assert.equal(share(10), 0);
  assert.ok(Math.abs(share(100) - 1 / 3) < 1e-9);
  assert.equal(share(10_000), 1);
});

test('a scale of one value, or of none, has a height, and what is 0 stands at its foot', () => {
  assert.deepEqual(logScale([1_000]).powers, [1_000, 10_000]);
  assert.deepEqual(logScale([]).powers, [1, 10]);
  assert.equal(logScale([10, 100]).share(0), 0);
});

test('a line goes up where its values rise, and a dashed one is drawn so', () => {
  const chart = (isDashed: boolean) => ({
    ...{ title: 'a < b & c', x: 'x', y: 'y' },
    series: [
      {
        name: 'ours',
        color: '#000',
        isDashed,
        points: [
          [1, 10],
          [10, 1_000],
        ] as const,
      },
    ],
  });
  const svg = chartPage([chart(false)], 'npm run x -- --json > y');
  const [, fromX, fromY, toX, toY] = /polyline points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"/.exec(svg) ?? [];
  assert.ok(Number(toX) > Number(fromX) && Number(toY) < Number(fromY), svg);
  assert.match(svg, /a &lt; b &amp; c/);
  assert.match(svg, /--json &gt; y/);
  assert.doesNotMatch(svg, /stroke-dasharray/);
  assert.match(chartPage([chart(true)], ''), /stroke-dasharray/);
});

test('an axis of a bench goes up by powers of ten, and ends with what was asked for', () => {
  assert.deepEqual(powersOfTen(1, 1_000), [1, 10, 100, 1_000]);
  assert.deepEqual(powersOfTen(100, 20_000), [100, 1_000, 10_000, 20_000]);
});
