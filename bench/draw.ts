/**
 * Draws `docs/pictures/growth.svg` from what the growth benches printed with `--json`, and prints their tables in Markdown.
 *
 *   npm run bench:growth -- --json > growth.json; npm run bench:growth-ticks -- --json > ticks.json
 *   npm run bench:draw -- growth.json ticks.json
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Chart, chartPage, type Series } from './lib/chart.ts';
import { AXES, type Axis, Growth, GrowthTicks, type Point, QUEUES } from './lib/growth.ts';
import { latenessTable, throughputTables } from './lib/growth-tables.ts';
import { progress } from './lib/report.ts';

const PICTURE = join(import.meta.dirname, '../docs/pictures/growth.svg');
const Result = z.discriminatedUnion('name', [Growth, GrowthTicks]);

const LOOKS: Readonly<Record<Point['queue'], { readonly name: string; readonly color: string }>> = {
  tidemill: { name: 'tidemill', color: '#0969da' },
  bullmq: { name: 'BullMQ', color: '#cf222e' },
};
const AXIS_TITLES: Readonly<Record<Axis, string>> = {
  concurrency: 'runs at once in a consumer',
  lanes: 'lanes (tasks in the queue)',
  backlog: 'runs that wait',
};

const files = process.argv.slice(2);
if (files.length === 0 || files.some((file) => file.startsWith('-'))) {
  process.stderr.write(
    'npm run bench:draw -- FILE...\n\nEach file: what a growth bench printed with --json.\n',
  );
  process.exit(64);
}

/** The last line of a file that has one: tables may stand before it. */
function resultIn(file: string): z.output<typeof Result> {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return Result.parse(JSON.parse(lines.at(-1) ?? ''));
}

const byNumber = ([left]: readonly [number, number], [right]: readonly [number, number]): number =>
  left - right;

function throughput(points: readonly Point[], axis: Axis): Chart {
  const series = QUEUES.flatMap((queue) =>
    [false, true].map((aof): Series => {
      const { name, color } = LOOKS[queue];
      const own = points.filter((point) => point.axis === axis && point.queue === queue && point.aof === aof);
      return {
        ...{ name: aof ? `${name}, AOF` : name, color, isDashed: aof },
        points: own.map(({ at, perSecond }) => [at, perSecond] as const).sort(byNumber),
      };
    }),
  ).filter(({ points: found }) => found.length > 0);
  return { title: `Throughput by ${axis}`, x: AXIS_TITLES[axis], y: 'no-op runs a second', series };
}

function lateness({ points, everySeconds }: z.output<typeof GrowthTicks>): Chart {
  const line = (name: string, color: string, pick: (point: (typeof points)[number]) => number): Series => ({
    ...{ name, color },
    points: points.map((point) => [point.schedules, pick(point)] as const).sort(byNumber),
  });
  return {
    title: 'Lateness of ticks by schedules',
    x: `schedules, each every ${everySeconds} s`,
    y: 'slot → first line, ms',
    series: [line('p50', '#0969da', ({ p50Ms }) => p50Ms), line('p99', '#8250df', ({ p99Ms }) => p99Ms)],
  };
}

const results = files.map(resultIn);
const charts = results.flatMap((result): readonly Chart[] =>
  result.name === 'growth-ticks' ? [lateness(result)] : AXES.map((axis) => throughput(result.points, axis)),
);
const tables = results.flatMap((result) =>
  result.name === 'growth-ticks' ? [latenessTable(result)] : throughputTables(result),
);
const footer =
  'npm run bench:growth -- --json > growth.json; npm run bench:growth-ticks -- --json > ticks.json; npm run bench:draw -- growth.json ticks.json';
writeFileSync(PICTURE, chartPage(charts, footer));
progress(`wrote ${charts.length} charts to docs/pictures/growth.svg`);
console.log(tables.join('\n\n'));
