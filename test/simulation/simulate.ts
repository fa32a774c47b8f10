/** Runs one plan from its first action until everything has calmed down, and says what it found. */
import type { ScheduledObject } from '../../src/resource/scheduled-object.ts';
import { act } from './acts.ts';
import type { Breach, Counts } from './book.ts';
import { check } from './checks.ts';
import type { Lineage } from './lineage.ts';
import type { Plan } from './plan.ts';
import { EDGE_MS, POISON, SETTINGS } from './settings.ts';
import { BODIES, TASK_NAMES } from './tasks.ts';
import { Remembered } from './remembered.ts';
import { World } from './world.ts';

/** How often the whole world is looked at; single moves are judged as they happen. */
const LOOK_EVERY_MS = 1_000;
const STATUS_EVERY_MS = 5_000;
const CALM_MS = 60_000;
/** A suspect runs alone in its consumer, for as long as the longest body takes, and the next is claimed at once. */
const SUSPECT_MS = BODIES.slow.longestMs + 1_000;
/** Until a consumer is free of its suspect, claims the poison, is ended by it, and the poison is back. */
const POISON_DEATH_MS = SUSPECT_MS + 12_000 + 15_000;
/** What is due may be on its way. */
const UNDERWAY_MS = 10_000;
export const MOST_EVENTS = 50_000;

export interface Found {
  readonly breaches: readonly Breach[];
  readonly counts: Counts;
  /** What was done before the first breach. */
  readonly actionsDone: number;
}

type Specs = Map<string, Map<number, ScheduledObject['spec']>>;

export async function simulate(plan: Plan): Promise<Found> {
  const world = await World.create(plan);
  const { book, clock } = world;
  const specs = rememberSpecs(world);
  const remembered = new Remembered(world);
  world.redis.onLoss = (lost, next) => {
    remembered.check(lost);
    takeLoss(world, lost, next, specs);
    remembered.note(lost, next);
  };
  let actionsDone = 0;
  for (let count = 0; count < 3; count += 1)
    await act(world, { ...FIRST_OBJECT, much: count / 3, kind: count / 3 });
  for (const action of plan.actions) {
    if (!(await pass(world, action.afterMs))) break;
    await act(world, action);
    actionsDone += 1;
  }
  if (book.breaches.length === 0) await calmDown(world);
  if (book.breaches.length === 0) checkSlots(world, world.redis.lineage, specs, clock.now() - UNDERWAY_MS);
  remembered.check(world.redis.lineage);
  book.counts.firedAgainAfterLoss = world.redis.firedAgain;
  if (book.breaches.length === 0 && book.counts.ended === 0)
    throw new Error(`seed ${plan.seed}: nothing happened`);
  return { breaches: book.breaches, counts: book.counts, actionsDone };
}

const FIRST_OBJECT = { afterMs: 0, verb: 'create', which: 0 } as const;

/** Time passes; the world is looked at now and then. Returns whether all is well. */
async function pass(world: World, ms: number): Promise<boolean> {
  const { clock, book } = world;
  const untilMs = clock.now() + ms;
  while (clock.now() < untilMs) {
    const nextLookMs = (Math.floor(clock.now() / LOOK_EVERY_MS) + 1) * LOOK_EVERY_MS;
    await clock.advanceTo(Math.min(untilMs, nextLookMs));
    if (clock.now() % LOOK_EVERY_MS === 0) check(world);
    if (clock.now() % STATUS_EVERY_MS === 0) world.writeStatuses();
    if (book.breaches.length > 0) return false;
    if (book.counts.events > MOST_EVENTS)
      throw new Error(`seed ${world.plan.seed}: more than ${MOST_EVENTS} events`);
  }
  return true;
}

/** Faults end, and all have time to see how things are; then nothing may be left over. */
async function calmDown(world: World): Promise<void> {
  world.isCalm = true;
  for (const actor of world.controllers) {
    actor.process.heal();
    actor.isCutOff = false;
    actor.source.cutOff = false;
  }
  for (const { process } of [...world.consumers, ...world.gone]) process.heal();
  // A pause may be back that was over before Redis lost its end.
  world.people.pauseQueue(false);
  for (const task of TASK_NAMES) world.people.pauseTask(task, false);
  if (!(await pass(world, CALM_MS / 2))) return;
  for (const { source } of world.controllers) source.relist();
  if (!(await pass(world, CALM_MS / 2))) return;
  if (!(await allEnd(world))) return;
  const live = new Set(world.store.all().map(({ uid }) => uid));
  for (const { uid, withdrawnAtMs } of world.redis.lineage.state.schedules.values())
    if ((withdrawnAtMs === undefined) !== live.has(uid))
      world.book.breach(
        'P1',
        `${uid} is ${live.has(uid) ? 'live and not adopted' : 'gone and still adopted'}`,
      );
}

/**
 * Poison takes as long as the deaths of several processes, and suspects as long as one after the other takes in one consumer;
 * none of them takes for ever. Returns whether all is well.
 */
async function allEnd(world: World): Promise<boolean> {
  const { people, redis } = world;
  const { runs, state } = redis.lineage;
  const poison = (): readonly string[] =>
    [...runs.open.values()].flatMap(({ id, task }) => (task === POISON ? [id] : []));
  const deaths = poison().length * (1 + SETTINGS.maxDeliveries);
  if (!(await end(world, poison, deaths * POISON_DEATH_MS))) return false;
  // A task at its limit may have more to do than it can; that it goes on is looked at elsewhere.
  const acknowledged = (): readonly string[] =>
    [...people.acknowledged].filter((id) => {
      const run = runs.open.get(id);
      return run !== undefined && run.task !== POISON && runs.roomFor(run.task) > 0;
    });
  const suspects = [...runs.open.keys()].filter((id) => state.runs.get(id)?.suspect === true);
  // One more for what has only just begun.
  return await end(world, acknowledged, (suspects.length + 1) * SUSPECT_MS);
}

async function end(world: World, open: () => readonly string[], mostMs: number): Promise<boolean> {
  const { book, clock } = world;
  const untilMs = clock.now() + mostMs;
  while (open().length > 0 && clock.now() < untilMs) if (!(await pass(world, LOOK_EVERY_MS))) return false;
  if (open().length > 0) book.breach('P3', `${open().join(', ')} never came to an end`);
  return book.breaches.length === 0;
}

function rememberSpecs({ store }: World): Specs {
  const specs: Specs = new Map();
  store.onChange((key) => {
    const object = store.get(key);
    if (object === undefined) return;
    const generations = specs.get(object.uid) ?? new Map<number, ScheduledObject['spec']>();
    specs.set(object.uid, generations.set(object.generation, object.spec));
  });
  return specs;
}

/** Promise 1, for every era of every schedule. To one whose object is gone nothing is owed any more. */
function checkSlots(world: World, { slots }: Lineage, specs: Specs, throughMs: number): void {
  const live = new Set(world.store.all().map(({ uid }) => uid));
  for (const [uid, generations] of specs) {
    try {
      world.book.counts.slots += slots.check(
        uid,
        generations,
        live.has(uid) ? throughMs : -Infinity,
        EDGE_MS,
      );
    } catch (error) {
      world.book.breach('P1', error instanceof Error ? error.message : String(error));
    }
  }
}

/**
 * A history ended: it is judged by what it did, not by what it still owed. In the next, slots are owed of a spec only until
 * its successor was adopted in the one that is lost.
 */
function takeLoss(world: World, lost: Lineage, next: Lineage, specs: Specs): void {
  checkSlots(world, lost, specs, -Infinity);
  for (const uid of specs.keys()) {
    const before = lost.slots.historyOf(uid).eras;
    const eras = next.slots.historyOf(uid).eras;
    const last = eras.at(-1);
    const followed = before[eras.length - 1];
    if (last !== undefined && followed !== undefined) last.owedUntilMs = followed.untilMs;
  }
  const { people, book } = world;
  for (const id of people.acknowledged) {
    if (next.runs.runs.has(id)) continue;
    people.acknowledged.delete(id);
    book.counts.acknowledgedLost += 1;
  }
}
