/** What will happen in a simulation, drawn from its seed beforehand, so that parts of it can be left out to see what matters. */
import { RandomSource } from '../support/random.ts';
import type { Weather } from './process.ts';

/** Verb → how often it is drawn. */
const VERBS = {
  ...{ create: 2, edit: 3, 'suspend or resume': 2, delete: 1, recreate: 1, trigger: 2, relist: 1 },
  ...{ 'crash controller': 2, 'freeze controller': 2, 'cut controller': 2, 'cut off from objects': 2 },
  ...{ 'crash consumer': 2, 'freeze consumer': 2, 'cut consumer': 2, 'stop consumer': 2 },
  ...{
    enqueue: 8,
    'enqueue poison': 1,
    cancel: 2,
    redrive: 2,
    purge: 0.5,
    'pause task': 1,
    'pause queue': 0.5,
  },
  ...{ 'redis away': 1.5, 'redis emptied': 0.3, 'redis rolled back': 0.6 },
} as const;
export type Verb = keyof typeof VERBS;

export interface Action {
  readonly afterMs: number;
  readonly verb: Verb;
  /** Which, how long, how many: from 0 up to 1. */
  readonly which: number;
  readonly much: number;
  readonly kind: number;
}

export interface Plan {
  readonly seed: number;
  readonly controllers: number;
  readonly consumers: number;
  readonly weather: Weather;
  readonly actions: readonly Action[];
}

const ACTIONS = 45;
const LONGEST_PAUSE_MS = 5_500;
const CALM: Weather = { lost: 0, replyLost: 0, twice: 0 };
const ROUGH: readonly Weather[] = [
  CALM,
  { lost: 0.01, replyLost: 0.02, twice: 0.02 },
  { lost: 0.02, replyLost: 0.05, twice: 0.05 },
];

export function drawPlan(seed: number): Plan {
  const random = new RandomSource(seed);
  const total = VERB_NAMES.reduce((sum, verb) => sum + VERBS[verb], 0);
  const drawVerb = (): Verb => {
    let left = random.next() * total;
    for (const verb of VERB_NAMES) if ((left -= VERBS[verb]) < 0) return verb;
    return 'enqueue';
  };
  return {
    seed,
    controllers: random.between({ min: 2, max: 4 }),
    consumers: random.between({ min: 2, max: 4 }),
    weather: random.pick(ROUGH) ?? CALM,
    actions: Array.from({ length: ACTIONS }, () => ({
      afterMs: Math.floor(random.next() * LONGEST_PAUSE_MS),
      verb: drawVerb(),
      ...{ which: random.next(), much: random.next(), kind: random.next() },
    })),
  };
}

const VERB_NAMES = Object.keys(VERBS).filter((verb): verb is Verb => verb in VERBS);

export function describeAction({ afterMs, verb, which, much, kind }: Action): string {
  const rolls = [which, much, kind].map((roll) => roll.toFixed(2)).join(' ');
  return `+${afterMs} ms ${verb} (${rolls})`;
}

/** A number that follows from texts and numbers, to draw from what belongs to one thing only. */
export function seedOf(...parts: readonly (string | number)[]): number {
  let hash = 0x811c9dc5;
  for (const character of parts.join('|'))
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return hash >>> 0;
}
