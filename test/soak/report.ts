/** What a soak says at its end, for people. */
import { printTable } from '../../bench/lib/report.ts';
import type { FaultCounts } from './faults.ts';
import type { LoadCounts } from './load.ts';
import type { Findings } from './verdict.ts';

export interface SoakResult extends Findings {
  readonly minutes: number;
  readonly seed: number;
  readonly faults: FaultCounts;
  readonly load: LoadCounts;
  readonly violations: readonly string[];
}

export function printReport(result: SoakResult): void {
  const { runs, slots, triggers, load, faults } = result;
  print(`\nsoak of ${result.minutes} minutes, seed ${result.seed}\n`);
  printTable(
    ['faults', 'times'],
    Object.entries(faults).toSorted(([left], [right]) => left.localeCompare(right)),
  );
  print('');
  printTable(
    ['', 'count'],
    [
      ['runs', runs.runs],
      ['  succeeded', runs.succeeded],
      ['  failed, as they were told to', runs.failed],
      ['  cancelled', runs.cancelled],
      ['  lost', runs.lost],
      ['  settled twice', runs.settledTwice],
      ['bodies begun', runs.executions],
      ['enqueues repeated for want of an answer', load.repeated],
      ['slots', slots.slots],
      ['  fired', slots.fired],
      ['  skipped', slots.skipped],
      ['  missed', slots.missed],
      ['  undecided', slots.undecided],
      ['  decided twice', slots.doubled],
      ['requests by hand', triggers.requested],
      ['  undecided', triggers.undecided],
      ['  decided twice', triggers.doubled],
      ['starts given up for want of Redis', result.startsGivenUp],
      ['processes left over', result.leakedProcesses],
    ],
  );
  print('');
  printTable(
    ['after warm-up', 'minutes', 'RSS MiB', 'MiB/h', 'descriptors', 'per h'],
    result.trends.map((trend) => [
      trend.name,
      ...[trend.hours * 60, trend.rssMiB, trend.rssMiBPerHour, trend.descriptors, trend.descriptorsPerHour],
    ]),
  );
  print(
    result.violations.length === 0
      ? '\nno promise was broken'
      : `\nBROKEN:\n${result.violations.map((text) => `  ${text}`).join('\n')}`,
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
