/** Prints when schedules fire next, and what the changes of the clocks do to them. */
import type { ScheduledTaskSpec } from '../resource/scheduled-task.ts';
import { timingOf } from '../resource/to-schedule.ts';
import type { Schedule } from '../schedule/schedule.ts';
import { printable } from './format.ts';
import { type Io, styled } from './io.ts';
import { writeJson } from './output.ts';
import {
  hazardTexts,
  nextSlots,
  parseInstant,
  showSlot,
  showSpec,
  type Window,
  zoneOf,
} from './show-timing.ts';

export interface NextItem {
  readonly name: string;
  readonly text: string;
  /** Absent when no slot can be computed: `text` says why. */
  readonly schedule: Schedule | undefined;
  readonly window: Window;
  readonly suspended: boolean;
}

export function itemOfSpec(name: string, spec: ScheduledTaskSpec): NextItem {
  const timing = timingOf(spec);
  const { suspend: suspended } = spec;
  if (timing.kind !== 'timing')
    return { name, text: timing.message, schedule: undefined, window: {}, suspended };
  const { schedule, policy } = timing;
  return { name, text: showSpec(schedule.spec), schedule, window: policy, suspended };
}

export interface NextQuestion {
  /** As typed, in the zone of each schedule; default: now. */
  readonly fromText: string | undefined;
  /** Slots of each. */
  readonly count: number;
  readonly json: boolean;
}

/** @throws TidemillError TIME_INVALID */
export function showNext(items: readonly NextItem[], { fromText, count, json }: NextQuestion, io: Io): void {
  const shown = items.map((item) => {
    const fromMs = fromText === undefined ? io.clock.now() : parseInstant(fromText, zoneOf(item.schedule));
    return describe(item, fromMs, count);
  });
  if (json) {
    const schedules = shown.map(({ slots, ...rest }) => ({
      ...rest,
      slots: slots.map((ms) => new Date(ms).toISOString()),
    }));
    writeJson(io, { schedules });
  } else for (const one of shown) io.stdout.write(lines(one, io).join(''));
}

type Shown = ReturnType<typeof describe>;

function describe({ name, text, schedule, window, suspended }: NextItem, fromMs: number, count: number) {
  return {
    name,
    timing: text,
    zone: zoneOf(schedule),
    suspended,
    slots: schedule === undefined || suspended ? [] : nextSlots(schedule, fromMs, count, window),
    hazards: schedule === undefined ? [] : hazardTexts(schedule, fromMs),
  };
}

function lines({ name, timing, zone, slots, hazards, suspended }: Shown, io: Io): readonly string[] {
  const note = suspended ? ' (suspended: nothing fires)' : '';
  return [
    `${styled(io, 'bold', printable(name))}  ${printable(timing)}${note}\n`,
    ...slots.map((slotMs) => `  ${showSlot(slotMs, zone, io.clock.now())}\n`),
    ...(slots.length === 0 && !suspended ? ['  no slot is left\n'] : []),
    ...hazards.map((hazard) => `  ${styled(io, 'yellow', 'clocks:')} ${hazard}\n`),
  ];
}
