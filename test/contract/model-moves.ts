/** Every change of a run that the model test sees is one that the table of a run's moves allows. */
import assert from 'node:assert/strict';
import { TRANSITIONS, type RunState } from '../../src/task/run.ts';
import type { Step } from './model-steps.ts';

const FIRST: readonly RunState[] = ['pending', 'delayed'];
/** One call fires several slots, and a later one may replace an earlier. */
const FIRST_BY_FIRE: readonly RunState[] = [...FIRST, 'cancelled'];

export class MoveCheck {
  #states: ReadonlyMap<string, RunState> = new Map();

  /** @param states - of all runs by id, after one more step */
  check(states: ReadonlyMap<string, RunState>, { verb }: Step): void {
    const first = verb === 'fire' ? FIRST_BY_FIRE : FIRST;
    for (const [id, state] of states) {
      const before = this.#states.get(id);
      if (before === state) continue;
      const legal = before === undefined ? first : TRANSITIONS[before];
      assert.ok(legal.includes(state), `${verb} moved ${id} from ${before ?? 'nothing'} to ${state}`);
    }
    for (const id of this.#states.keys()) assert.ok(states.has(id), `${verb} made ${id} be forgotten`);
    this.#states = states;
  }
}
