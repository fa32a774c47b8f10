/**
 * How late a schedule's run begins: 1,000 schedules that fire every second, for half a minute; then 10,000 schedules that
 * are due at the same instant. From the slot, which is what the schedule says, to the first line of the task.
 */
import { readOptions } from './lib/options.ts';
import { linkTidemill } from './lib/peers.ts';
import { printJson, printTable, rounded } from './lib/report.ts';
import { median } from './lib/statistics.ts';
import { latenessOf, SECOND_MS, watchTicks } from './lib/tick-watch.ts';

const { json, aof, size } = readOptions(
  'ticks',
  'Starts one scheduler and one consumer, and notes when the runs of each slot begin.',
  {
    schedules: { help: 'schedules that fire every second', default: 1_000 },
    seconds: { help: 'how long they are watched', default: 30 },
    burst: { help: 'schedules that are due at the same instant', default: 10_000 },
    'burst-every': { help: 'seconds from burst to burst', default: 4 },
    bursts: { help: 'bursts; the median counts', default: 3 },
  },
);
linkTidemill();

const seconds = { name: 'tick', count: size('schedules'), everyMs: SECOND_MS, slots: size('seconds'), aof };
const every1s = latenessOf(await watchTicks(seconds), seconds);

const bursts = Map.groupBy(
  await watchTicks({
    ...{ name: 'burst', count: size('burst'), everyMs: size('burst-every') * SECOND_MS },
    ...{ slots: size('bursts'), aof },
  }),
  ({ slotMs }) => slotMs,
);
const allStarted = [...bursts.values()].map((starts) => {
  const names = new Set(starts.map(({ schedule }) => schedule)).size;
  if (names !== size('burst')) throw new Error(`of ${size('burst')} schedules of a burst, ${names} ran`);
  return Math.max(...starts.map(({ slotMs, atMs }) => atMs - slotMs));
});
const burst = { schedules: size('burst'), allStartedMs: rounded(median(allStarted), 0) };

printTable(
  ['slot → first line', 'schedules', 'p50 ms', 'p99 ms', 'max ms', 'missed', 'doubled'],
  [
    [
      'every second',
      every1s.schedules,
      every1s.p50Ms,
      every1s.p99Ms,
      every1s.maxMs,
      every1s.missed,
      every1s.doubled,
    ],
    ['all at one instant', burst.schedules, '', '', burst.allStartedMs],
  ],
);
printJson(json, { name: 'ticks', every1s, burst });
