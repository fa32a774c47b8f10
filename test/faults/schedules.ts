/** What rows ask of many schedules alike: to be there, to be adopted, and each of their slots to be decided once. */
import type { SlotAccount } from '../support/slot-account.ts';
import { until } from '../support/until.ts';
import { QUEUE, type World } from './world.ts';

/** Controllers and schedulers compare what they remember with Redis at every reconnect, and this often. */
export const COMPARED_EVERY_MS = 30_000;
/** No slot is left out and none is skipped for another. */
export const EACH_SLOT = 'concurrencyPolicy: Allow, missedRunPolicy: All';

export interface Schedules {
  readonly folder: string;
  readonly uids: readonly string[];
  readonly timings: readonly (readonly [uid: string, every: string])[];
}

/** `count` schedules alike. */
export function schedulesOf(world: World, count: number, every: string, policies = EACH_SLOT): Schedules {
  const names = Array.from({ length: count }, (_, index) => `job-${index}`);
  const spec = `task: tick, every: ${every}, ${policies}`;
  const uids = names.map((name) => world.uid(name));
  return {
    folder: world.schedules(
      'jobs',
      names.map((name) => [name, spec] as const),
    ),
    uids,
    timings: uids.map((uid) => [uid, every] as const),
  };
}

export async function allAdopted({ broker }: World, count: number): Promise<void> {
  const { schedules } = broker.queue(QUEUE);
  await until('all are adopted', async () => (await schedules.adopted('default')).length === count, {
    deadlineMs: 300_000,
  });
}

export const decidedOnce = ({ slots, undecided, doubled }: SlotAccount): boolean =>
  slots > 0 && undecided === 0 && doubled === 0;
