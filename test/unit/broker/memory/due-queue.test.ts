import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DueQueue } from '../../../../src/broker/memory/due-queue.ts';

describe('DueQueue', () => {
  test('gives what is due by time, then by id, and nothing that is no longer valid', () => {
    const entry = fc.record({
      id: fc.string({ maxLength: 2 }),
      atMs: fc.nat({ max: 20 }),
      isValid: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(entry, { selector: ({ id }) => id }),
        fc.nat({ max: 25 }),
        (entries, nowMs) => {
          const valid = new Set(entries.filter(({ isValid }) => isValid).map(({ id }) => id));
          const queue = new DueQueue((id) => valid.has(id));
          for (const { id, atMs } of entries) queue.add(id, atMs);
          const taken: string[] = [];
          for (let id = queue.takeDue(nowMs); id !== undefined; id = queue.takeDue(nowMs)) taken.push(id);
          const sorted = entries
            .filter(({ isValid }) => isValid)
            .sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1));
          const due = sorted.filter(({ atMs }) => atMs <= nowMs);
          assert.deepEqual(
            taken,
            due.map(({ id }) => id),
          );
          assert.equal(queue.nextAtMs, sorted[due.length]?.atMs);
        },
      ),
    );
  });
});
