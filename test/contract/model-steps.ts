/** What the model test asks of both brokers: steps drawn at random. */
import fc from 'fast-check';

const VERBS = [
  ...['enqueue', 'enqueue', 'enqueue', 'claim', 'claim', 'claim', 'settle', 'settle', 'settle', 'settle'],
  ...['claim', 'claim', 'claim', 'settle', 'settle', 'settle', 'settle', 'cancel', 'redrive', 'redrive'],
  // Slots are decided for a generation that was adopted, and for no other.
  ...['adopt', 'adopt', 'fire', 'fire', 'fire'],
  ...['fire', 'fire', 'fire', 'adopt', 'cancel', 'redrive', 'die', 'leave', 'register', 'withdraw'],
  // What is paused is resumed soon, or most plans would stand still.
  ...[
    'pause-task',
    'resume-task',
    'resume-task',
    'resume-task',
    'pause-queue',
    'resume-queue',
    'resume-queue',
  ],
  ...['resume-queue', 'resume-queue', 'request', 'request', 'settle-again', 'settle-again', 'promote'],
] as const;

const small = (max: number): fc.Arbitrary<number> => fc.nat({ max });

/** Of the last slot that is due. */
export const LAST_DUE_MS = 35;
const FAR_AHEAD_MS = 3_600_000;
/** Of a slot, from not-before on. Before that there are none, whoever asks; the one beyond the last is never due. */
const at = fc
  .integer({ min: -8, max: LAST_DUE_MS + 1 })
  .map((ms) => (ms > LAST_DUE_MS ? ms + FAR_AHEAD_MS : ms));

/** Every step has every field; its verb says which of them count. */
const step = fc.record({
  verb: fc.constantFrom(...VERBS),
  who: small(2),
  task: small(2),
  priority: small(2),
  ids: fc.array(small(15), { maxLength: 4 }),
  isDelayed: small(4).map((roll) => roll === 0),
  id: small(25),
  io: small(4),
  cpu: small(2),
  nth: small(3),
  outcome: small(7),
  uid: small(1),
  generation: fc.constantFrom(1, 1, 1, 2, 2, 3),
  isSuspended: fc.boolean(),
  isForced: fc.boolean(),
  policy: small(2),
  entries: fc.array(fc.record({ kind: small(3), at, length: small(4) }), { maxLength: 4 }),
});
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Longer ones see more, and take longer to shrink. */
export const stepsUpTo = (most: number): fc.Arbitrary<readonly Step[]> =>
  fc.array(step, { minLength: 5, maxLength: most, size: 'max' });
