/** What must be true at every look at the world, whatever happened: nothing lost, nothing stuck, nothing without bound. */
import { DECISION_LOG_CAP, ERA_CAP, TRIGGER_MEMORY } from '../../src/broker/broker.ts';
import type { LedgerRun } from './run-ledger.ts';
import { IO_CONCURRENCY, SETTINGS } from './settings.ts';
import type { ConsumerActor } from './actors.ts';
import type { World } from './world.ts';

/** Promise 4; the measure begins anew when Redis, or the last consumer that could help, was away. */
const BACK_WITHIN_MS = 15_000;
/** A call that went wrong costs a recovery pass: the next comes within a quarter of a lease and a back-off. */
const BAD_CALL_MS = 5_000;
/** A run that may start does so within this: two times the longest wait for a lost wake-up. */
const START_WITHIN_MS = 12_000;
const DROP_WITHIN_MS = 15_000;
/** Drain, grace, settle, leave and stop, as the consumer documents them, and a call's way. */
const STOP_WITHIN_MS = 9_000;

export function check(world: World): void {
  checkKept(world);
  checkBounds(world);
  checkReturned(world);
  checkStopped(world);
  checkStuck(world);
}

/** Promise 3: what was acknowledged is there until it has ended, and a run succeeds by its body only. */
function checkKept({ people, redis, book, bodiesEnded }: World): void {
  const { runs, state } = redis.lineage;
  for (const id of people.acknowledged) {
    const run = runs.runs.get(id);
    if (run === undefined) book.breach('P3', `${id} was acknowledged and is unknown`);
    else if (run.endedAtMs === undefined && !state.runs.has(id))
      book.breach('P3', `${id} was acknowledged and is gone from ${run.state}`);
    else if (run.endedAtMs !== undefined) people.acknowledged.delete(id);
    if (run?.state === 'succeeded' && !bodiesEnded.has(id))
      book.breach('P3', `${id} succeeded, and its body never came to an end`);
  }
  for (const { id, state: known } of runs.open.values()) {
    const kept = state.runs.get(id);
    if (kept?.state !== known)
      book.breach('P8', `${id} is ${kept?.state ?? 'forgotten'} although its last move made it ${known}`);
  }
}

/** Promise 8. */
function checkBounds(world: World): void {
  const { redis, book, clock } = world;
  const { state, runs } = redis.lineage;
  const counted = { pending: 0, delayed: 0, running: 0 };
  for (const { state: is } of runs.open.values())
    if (is === 'pending' || is === 'delayed' || is === 'running') counted[is] += 1;
  for (const kind of ['pending', 'delayed', 'running'] as const)
    if (counted[kind] !== state.counts[kind])
      book.breach('P8', `the queue counts ${state.counts[kind]} ${kind} runs, and has ${counted[kind]}`);
  const budget = SETTINGS.retainSucceededBytes + SETTINGS.retainFailedBytes;
  if (state.retention.bytes > budget)
    book.breach('P8', `${state.retention.bytes} bytes of ended runs are kept, more than ${budget}`);
  const dueMs = state.retention.nextAtMs ?? Infinity;
  const overdueMs = Math.min(clock.now() - dueMs, helpedForMs(world));
  if (overdueMs > DROP_WITHIN_MS) book.breach('P8', `a record is kept ${overdueMs} ms beyond its age`);
  for (const { uid, log, eras, requests } of state.schedules.values()) {
    if (log.length > DECISION_LOG_CAP || eras.length > ERA_CAP || requests.length > TRIGGER_MEMORY)
      book.breach('P8', `${uid} has more records than its caps allow`);
  }
}

/** For how long some consumer has been able to do what consumers do for each other, with no bad call in between. */
function helpedForMs(world: World, except?: ConsumerActor): number {
  const { redis, clock } = world;
  const nowMs = clock.now();
  if (redis.isAway) return 0;
  const helpers = world.wellConsumers().filter((actor) => actor !== except);
  const times = helpers.map(({ process }) =>
    Math.min(process.wellForMs, nowMs - process.lastBadCallMs - BAD_CALL_MS),
  );
  return Math.min(Math.max(0, ...times), nowMs - redis.upSinceMs);
}

/** Promise 4: what an ill or dead consumer held is back in time. */
function checkReturned(world: World): void {
  const { redis, book } = world;
  const { runs } = redis.lineage;
  for (const actor of [...world.consumers, ...world.gone]) {
    const { process } = actor;
    const illForMs = -process.wellForMs;
    if (illForMs < BACK_WITHIN_MS || helpedForMs(world, actor) < BACK_WITHIN_MS) continue;
    for (const [incarnation, life] of runs.lives) {
      if (life.process !== process.name) continue;
      for (const { id } of runs.heldBy(incarnation))
        book.breach('P4', `${id} is still held by ${process.name}, ill for ${illForMs} ms`);
    }
  }
}

/** Promise 6. */
function checkStopped(world: World): void {
  const { redis, book, clock } = world;
  const nowMs = clock.now();
  const { runs } = redis.lineage;
  for (const { process, stoppedAtMs, endedAtMs } of world.gone) {
    if (stoppedAtMs === undefined || process.wellForMs < 0) continue;
    const stoppedForMs = nowMs - stoppedAtMs;
    if (endedAtMs === undefined && stoppedForMs > STOP_WITHIN_MS && process.wellForMs >= stoppedForMs)
      book.breach('P6', `${process.name} has not ended ${stoppedForMs} ms after it was told to`);
    const wasWell = process.wellForMs > stoppedForMs && process.lastBadCallMs < stoppedAtMs;
    if (endedAtMs === undefined || !wasWell || redis.upSinceMs > stoppedAtMs - 1_000 || redis.isAway)
      continue;
    for (const [incarnation, life] of runs.lives)
      if (life.process === process.name)
        for (const { id } of runs.heldBy(incarnation))
          book.breach('P6', `${id} was not given back by ${process.name} when it ended`);
  }
}

/** A run that may start is started, whatever was lost on the way: limits, pauses and wake-ups let go of it. */
function checkStuck(world: World): void {
  const { redis, book, clock } = world;
  const nowMs = clock.now();
  const { runs, state } = redis.lineage;
  const free = world.wellConsumers().filter((actor) => isFree(world, actor));
  const canStart = (run: LedgerRun): boolean => {
    if (run.state === 'delayed') return (run.dueAtMs ?? 0) <= nowMs;
    const isPaused = state.paused || state.tasks.entry(run.task).paused;
    return run.state === 'pending' && !isPaused && runs.roomFor(run.task) > 0 && !isSuspect(run);
  };
  const isSuspect = ({ id }: LedgerRun): boolean => state.runs.get(id)?.suspect === true;
  for (const run of runs.open.values()) {
    if (free.length === 0 || helpedForMs(world) < START_WITHIN_MS || !canStart(run))
      run.idleSinceMs = undefined;
    else run.idleSinceMs ??= nowMs;
    const idleForMs = nowMs - (run.idleSinceMs ?? nowMs);
    if (idleForMs > START_WITHIN_MS)
      book.breach('policy', `${run.id} has been ${run.state} for ${idleForMs} ms although it may go on`);
  }
}

function isFree({ redis }: World, { process }: ConsumerActor): boolean {
  const { runs } = redis.lineage;
  const held = [...runs.lives].flatMap(([incarnation, life]) =>
    life.process === process.name && !life.isOver ? runs.heldBy(incarnation) : [],
  );
  return held.length < IO_CONCURRENCY / 2;
}
