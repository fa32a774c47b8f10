/** The behaviour that every broker must show: one suite for the memory broker, for Redis and for Valkey. */
import { describe } from 'node:test';
import { describeByHand } from './by-hand.ts';
import { describeClaiming } from './claiming.ts';
import { describeDecisions } from './decisions.ts';
import { describeEarly } from './early.ts';
import { describeEnqueueing } from './enqueueing.ts';
import { describeFiring } from './firing.ts';
import { describeFollowing } from './following.ts';
import type { CreateHarness } from './harness.ts';
import { describeInspection } from './inspection.ts';
import { describeLeases } from './leases.ts';
import { describeOverlap } from './overlap.ts';
import { describeSettling } from './settling.ts';
import { describeTime } from './time.ts';
import { describeWaking } from './waking.ts';

export function describeBroker(name: string, createHarness: CreateHarness): void {
  describe(name, () => {
    describeEnqueueing(createHarness);
    describeClaiming(createHarness);
    describeEarly(createHarness);
    describeSettling(createHarness);
    describeLeases(createHarness);
    describeTime(createHarness);
    describeWaking(createHarness);
    describeFiring(createHarness);
    describeFollowing(createHarness);
    describeByHand(createHarness);
    describeOverlap(createHarness);
    describeDecisions(createHarness);
    describeInspection(createHarness);
  });
}
