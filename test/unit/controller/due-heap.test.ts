import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DueHeap } from '../../../src/controller/due-heap.ts';

test('keys come out in the order of their instants, after any row of adds, moves and removals', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), key: fc.nat(20), atMs: fc.nat(1_000) }),
    fc.record({ kind: fc.constant('delete' as const), key: fc.nat(20) }),
    fc.record({ kind: fc.constant('pop' as const), nowMs: fc.nat(1_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new DueHeap<number>();
      const model = new Map<number, number>();
      for (const taken of steps) {
        if (taken.kind === 'set') {
          heap.set(taken.key, taken.atMs);
          model.set(taken.key, taken.atMs);
        } else if (taken.kind === 'delete') {
          heap.delete(taken.key);
          model.delete(taken.key);
        } else {
          const earliestMs = Math.min(...model.values());
          const popped = heap.popDue(taken.nowMs);
          if (earliestMs > taken.nowMs) assert.equal(popped, undefined);
          else {
            assert.ok(popped !== undefined);
            assert.equal(model.get(popped), earliestMs);
            model.delete(popped);
          }
        }
        assert.equal(heap.size, model.size);
        assert.equal(heap.earliestMs, model.size === 0 ? undefined : Math.min(...model.values()));
      }
    }),
  );
});

test('the instant at which so many keys are due is that of the last of them in order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(50), { maxLength: 60 }),
      fc.integer({ min: 1, max: 70 }),
      (instants, count) => {
        const heap = new DueHeap<number>();
        for (const [key, atMs] of instants.entries()) heap.set(key, atMs);
        assert.equal(heap.nthMs(count), instants.toSorted((a, b) => a - b)[count - 1]);
        assert.equal(heap.size, instants.length);
      },
    ),
  );
});
