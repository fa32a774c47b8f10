/** How run ids are made, so that the same cause always makes the same id, and what can be read back from one. */
import { createHash, randomBytes } from 'node:crypto';

/** Id of the run for one slot of a schedule: the name is the lock, so any number of controllers make one run. */
export function slotRunId(uid: string, slotMs: number): string {
  return `${uid}@${new Date(slotMs).toISOString()}`;
}

/** Id of a run triggered by hand: the request names it, so repeating the request makes no second run. */
export function triggerRunId(uid: string, request: string): string {
  return `${uid}@run-now.${request}`;
}

const RANDOM_BYTES = 12;
/** Random bytes for many ids at once: a call of the generator for each cost more than all the rest of an enqueue. */
const POOL_BYTES = RANDOM_BYTES * 128;
const HEX_DIGITS = RANDOM_BYTES * 2;
const pool = { hex: '', used: 0 };

function randomHex(): string {
  if (pool.used >= pool.hex.length) {
    pool.hex = randomBytes(POOL_BYTES).toString('hex');
    pool.used = 0;
  }
  pool.used += HEX_DIGITS;
  return pool.hex.slice(pool.used - HEX_DIGITS, pool.used);
}

/** A new id that carries its queue, so that `get`, `cancel` and `redrive` need no queue beside it. */
export function generatedRunId(queue: string): string {
  return `${queue}:${randomHex()}`;
}

/**
 * Id of a run that a run enqueues: the same for every attempt of the parent, and for a zombie of it.
 * @param ordinal - how many times this attempt enqueued the same task with the same params before
 */
export function childRunId(
  parentId: string,
  queue: string,
  task: string,
  params: string,
  ordinal: number,
): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([parentId, queue, task, params, ordinal]))
    .digest('hex');
  return `${queue}:${digest.slice(0, 24)}`;
}

/** Whether `generatedRunId` or `childRunId` may have made it for that queue. */
export function isGeneratedRunId(id: string, queue: string): boolean {
  return id.startsWith(`${queue}:`) && /^[0-9a-f]{24}$/.test(id.slice(queue.length + 1));
}

/** The queue that a generated id names; `undefined` for hand-given and scheduled ids. */
export function queueOfRunId(id: string): string | undefined {
  const colon = id.indexOf(':');
  return colon > 0 && !id.includes('@') ? id.slice(0, colon) : undefined;
}

/** The schedule uid of a scheduled or triggered run; `undefined` for any other id. */
export function scheduleUidOfRunId(id: string): string | undefined {
  const at = id.indexOf('@');
  return at > 0 ? id.slice(0, at) : undefined;
}

/** 96 random bits: who holds a run. A process gets a new one at each start. */
export function newIncarnation(): string {
  return randomBytes(RANDOM_BYTES).toString('hex');
}

/** The slot of a scheduled run; `undefined` for a triggered run and any other id. */
export function slotOfRunId(id: string): number | undefined {
  const uid = scheduleUidOfRunId(id);
  // Date.parse takes almost anything (`run-now.7` is a day in 2001), so the id must be the one that the slot makes.
  const slotMs = uid === undefined ? NaN : Date.parse(id.slice(uid.length + 1));
  return uid !== undefined && !Number.isNaN(slotMs) && slotRunId(uid, slotMs) === id ? slotMs : undefined;
}
