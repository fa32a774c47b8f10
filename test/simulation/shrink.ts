/** Leaves out of a failing plan what does not matter: actions, bad calls, and processes. */
import type { Plan } from './plan.ts';
import type { Found } from './simulate.ts';

const MOST_TRIES = 300;

export interface Shrunk {
  readonly plan: Plan;
  readonly found: Found;
}

/**
 * The pauses between actions are kept, added to the next action that stays, so that what follows happens when it did.
 * @param run - must fail for `plan`
 */
export async function shrink(plan: Plan, run: (plan: Plan) => Promise<Found>): Promise<Shrunk> {
  let least: Shrunk = { plan, found: await run(plan) };
  let tries = 0;
  const isLess = async (candidate: Plan): Promise<boolean> => {
    if (tries >= MOST_TRIES) return false;
    tries += 1;
    const found = await run(candidate);
    if (found.breaches.length === 0) return false;
    least = { plan: candidate, found };
    return true;
  };
  await isLess({ ...least.plan, weather: { lost: 0, replyLost: 0, twice: 0 } });
  for (let size = Math.ceil(least.plan.actions.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < least.plan.actions.length && tries < MOST_TRIES;)
      if (!(await isLess(without(least.plan, at, size)))) at += size;
  }
  for (const role of ['controllers', 'consumers'] as const)
    while (least.plan[role] > 1 && (await isLess({ ...least.plan, [role]: least.plan[role] - 1 })));
  return least;
}

export function without(plan: Plan, at: number, count: number): Plan {
  const gone = plan.actions.slice(at, at + count);
  const waitMs = gone.reduce((sum, { afterMs }) => sum + afterMs, 0);
  const [next, ...rest] = plan.actions.slice(at + count);
  const after = next === undefined ? [] : [{ ...next, afterMs: next.afterMs + waitMs }, ...rest];
  return { ...plan, actions: [...plan.actions.slice(0, at), ...after] };
}
