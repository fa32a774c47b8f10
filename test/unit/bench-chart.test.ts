/** The pictures of the benches: where a value stands, and that any text can stand in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chartPage, logScale } from '../../bench/lib/chart.ts';
import { powersOfTen } from '../../bench/lib/growth.ts';
import { latenessTable, throughputTables } from '../../bench/lib/growth-tables.ts';

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

test('the tables have a line for each place and a column for each queue that was measured there', () => {
  const point = { axis: 'concurrency', at: 1_000, queue: 'tidemill', aof: false, perSecond: 28_252 } as const;
  const [concurrency, lanes] = throughputTables({
    name: 'growth',
    points: [
      point,
      { ...point, aof: true, perSecond: 27_278 },
      { ...point, at: 1, queue: 'bullmq', perSecond: 3_760 },
      { ...point, axis: 'lanes', at: 10, perSecond: 48_181 },
    ],
  });
  assert.deepEqual(concurrency?.split('\n'), [
    '| concurrency of the consumer | Tidemill | with a journal | BullMQ | with a journal |',
    '| --- | --- | --- | --- | --- |',
    '| 1 | — | — | 3,760 | — |',
    '| 1,000 | 28,252 | 27,278 | — | — |',
  ]);
  assert.equal(lanes?.split('\n').at(-1), '| 10 | 48,181 | — |');
});

test('the table of lateness says how many slots a second that was', () => {
  const ticks = { schedules: 20_000, p50Ms: 3.28, p99Ms: 139.69, maxMs: 218.68, missed: 0, doubled: 0 };
  const table = latenessTable({ name: 'growth-ticks', everySeconds: 10, points: [ticks] });
  assert.equal(table.split('\n').at(-1), '| 20,000 | 2,000 | 3.28 | 139.69 | 218.68 | 0 | 0 |');
});
