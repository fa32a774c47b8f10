import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LinkedList, type ListNode } from '../../../../src/broker/memory/linked-list.ts';

describe('LinkedList', () => {
  test('behaves as an array under pushes at both ends and removals anywhere', () => {
    const step = fc.record({ kind: fc.constantFrom('front', 'back', 'remove'), at: fc.nat({ max: 30 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new LinkedList<number>();
        const nodes: ListNode<number>[] = [];
        steps.forEach(({ kind, at }, value) => {
          if (kind === 'front') nodes.unshift(list.pushFront(value));
          if (kind === 'back') nodes.push(list.pushBack(value));
          const [removed] = kind === 'remove' ? nodes.splice(at % Math.max(1, nodes.length), 1) : [];
          if (removed !== undefined) list.remove(removed);
          if (removed !== undefined) list.remove(removed); // a second time changes nothing
        });
        const expected = nodes.map((node) => node.value);
        assert.deepEqual([...list], expected);
        assert.deepEqual([...list.backwards()], expected.toReversed());
        assert.equal(list.length, expected.length);
        assert.equal(list.first, expected[0]);
      }),
    );
  });
});
