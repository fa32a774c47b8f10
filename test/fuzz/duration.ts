/** Durations: `every`, and the offset that goes with it. */
import assert from 'node:assert/strict';
import { formatDuration, parseDuration } from '../../src/schedule/duration.ts';
import { every } from '../../src/schedule/every.ts';
import { takenOr } from './answers.ts';
import { oneOf, spoil } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

/** From the largest to the smallest, as a duration has them. */
const UNITS = ['h', 'm', 's', 'ms'];
const WRONG_UNITS = ['d', 'M', 'us', 'H', '', 'h', 'm'];

export const durationTarget: FuzzTarget = {
  name: 'duration',
  draw: (random) => {
    const digits = (): string => String(random.between({ min: 0, max: random.next() < 0.8 ? 100 : 100_001 }));
    const units = UNITS.filter(() => random.next() < 0.5);
    const unit = (right: string): string => (random.next() < 0.1 ? oneOf(random, ...WRONG_UNITS) : right);
    return spoil(units.map((right) => digits() + unit(right)).join(''), random);
  },
  check: (input) => {
    const schedule = takenOr('SCHEDULE_INVALID', () => every(input));
    if (schedule === undefined) return false;
    const ms = parseDuration(input);
    assert.ok(Number.isSafeInteger(ms) && ms >= 100);
    assert.equal(parseDuration(formatDuration(ms)), ms, 'what is printed reads the same');
    const nextMs = schedule.next(1_764_000_000_000);
    assert.ok(nextMs !== undefined && nextMs > 1_764_000_000_000 && nextMs % ms === 0);
    return true;
  },
};
