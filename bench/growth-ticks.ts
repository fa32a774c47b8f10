/** How the lateness of ticks goes as schedules become more: each fires every few seconds, spread evenly over that time. */
import { GrowthTicks, powersOfTen, type TickPoint } from './lib/growth.ts';
import { readOptions } from './lib/options.ts';
import { linkTidemill } from './lib/peers.ts';
import { printJson, printTable } from './lib/report.ts';
import { latenessOf, SECOND_MS, watchTicks } from './lib/tick-watch.ts';

const { json, aof, size } = readOptions(
  'growth-ticks',
  'Starts one scheduler and one consumer for 100 schedules, 1,000 and so on, and notes when the runs of each slot begin.',
  {
    least: { help: 'fewest schedules', default: 100 },
    most: { help: 'most schedules', default: 20_000 },
    every: { help: 'seconds from slot to slot of each schedule', default: 10 },
    slots: { help: 'slots of each that are watched', default: 3 },
  },
  { short: { most: 300, every: 2, slots: 2 } },
);
linkTidemill();

const points: TickPoint[] = [];
for (const count of powersOfTen(size('least'), size('most'))) {
  const watched = {
    ...{ name: `growth-${count}`, count, everyMs: size('every') * SECOND_MS, slots: size('slots') },
    ...{ aof, spread: true },
  };
  points.push(latenessOf(await watchTicks(watched), watched));
}

printTable(
  ['schedules', 'slots/s', 'p50 ms', 'p99 ms', 'max ms', 'missed', 'doubled'],
  points.map(({ schedules, p50Ms, p99Ms, maxMs, missed, doubled }) => [
    ...[schedules, schedules / size('every'), p50Ms, p99Ms, maxMs, missed, doubled],
  ]),
);
printJson(json, GrowthTicks.parse({ name: 'growth-ticks', everySeconds: size('every'), points }));
