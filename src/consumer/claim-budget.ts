/** How many runs a claim asks for, and where each that it is handed goes. Decisions only. */
import type { FreeSlots } from '../broker/broker.ts';
import type { Executor } from '../task/run.ts';

/** Runs of one kind in one claim. Of more the broker hands out none while we start them, and we start none while it hands them out. */
export const MOST_CLAIMED = 256;
/** Runs held before they are due: they cost memory, and another consumer may have nothing to do when they are. */
const MOST_EARLY = 1_024;

export interface ClaimWish extends FreeSlots {
  /** IO runs to wait for a slot, claimed with `io`. */
  readonly ahead: number;
  /** IO runs that are not due yet. */
  readonly early: number;
}

export const NOTHING: ClaimWish = { io: 0, cpu: 0, ahead: 0, early: 0 };

export interface ClaimState {
  /** What could start at once. */
  readonly free: FreeSlots;
  /** IO runs to claim ahead of slots that are busy. */
  readonly allowance: number;
  /** IO runs that the slots take up within a moment, however many: see `prefetch.ts`. */
  readonly takenUp: number;
  /** Runs that wait for a slot. */
  readonly waiting: number;
  /** Runs that are held before they are due. */
  readonly held: number;
  /** The last claim left work behind. */
  readonly moreReady: boolean;
}

export function claimWish({ free, allowance, takenUp, waiting, held, moreReady }: ClaimState): ClaimWish {
  const half = Math.ceil(allowance / 2);
  const io = Math.min(MOST_CLAIMED, free.io);
  // Refilled by halves, so that a slot that comes free does not cost a call of its own.
  const isLow = moreReady && allowance - waiting >= half;
  const ahead = isLow ? Math.min(half, MOST_CLAIMED - io) : 0;
  // When they are due they need what is free now, and what comes free within a moment from then.
  const startable = Math.min(MOST_EARLY, free.io + takenUp - waiting);
  const early = io === 0 ? 0 : Math.min(MOST_CLAIMED, Math.max(0, startable - held));
  return { io, cpu: free.cpu, ahead, early };
}

/** What is left of what was asked for; counted down by `placeOf`. */
export type Room = Record<Executor | 'ahead' | 'early', number>;

/**
 * `early`: to be held until it is due; `just-due`: handed out as early, but due; `ready`: all else.
 * @param waitMs - until it is due, by our estimate of the broker's clock
 */
export function whenOf(early: boolean, waitMs: number): 'early' | 'just-due' | 'ready' {
  if (!early) return 'ready';
  return waitMs > 0 ? 'early' : 'just-due';
}

/** `start`: on a free slot; `wait`: for a slot; `hold`: until it is due; `release`: back to the broker. */
export function placeOf(
  executor: Executor,
  when: ReturnType<typeof whenOf>,
  room: Room,
): 'start' | 'wait' | 'hold' | 'release' {
  if (when === 'early') return executor === 'io' && takeOne(room, 'early') ? 'hold' : 'release';
  if (takeOne(room, executor)) return 'start';
  const waits =
    executor === 'io' && (takeOne(room, 'ahead') || (when === 'just-due' && takeOne(room, 'early')));
  return waits ? 'wait' : 'release';
}

function takeOne(room: Room, kind: keyof Room): boolean {
  if (room[kind] === 0) return false;
  room[kind] -= 1;
  return true;
}
