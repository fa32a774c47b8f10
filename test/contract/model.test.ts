/** Both brokers decide alike, whatever is asked of them: on Redis and on Valkey. `npm run model` does so at length. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seedFromEnvironment } from '../support/random.ts';
import { findServers } from '../support/servers.ts';
import { runModel } from './model-compare.ts';

/** Of each kind of plan on each server: 6,000 in all. */
const STEPS = 1_500;
const MOST_STEPS_OF_PLAN = 100;

const { servers, missing } = findServers();
assert.deepEqual(missing, [], 'the model is compared with Redis and with Valkey');

describe('the model', () => {
  for (const { name, binary } of servers) {
    for (const [kind, what] of [
      ['order', `hand out, settle and fire alike, in the same order`],
      ['cancel', `cancel and replace alike`],
    ] as const) {
      test(`the memory broker and ${name} ${what}`, async (t) => {
        const seed = seedFromEnvironment();
        t.diagnostic(`TEST_SEED=${seed}`);
        const { plans, steps } = await runModel({
          ...{ binary, kind, seed, steps: STEPS, mostStepsOfPlan: MOST_STEPS_OF_PLAN },
        });
        t.diagnostic(`${steps} steps in ${plans} plans`);
        assert.ok(steps >= STEPS);
      });
    }
  }
});
