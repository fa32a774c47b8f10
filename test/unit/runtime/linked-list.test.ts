import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LinkedList, type ListNode } from '../../../src/runtime/linked-list.ts';

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
          if (removed === undefined) return;
          assert.equal(list.remove(removed), true);
          assert.equal(list.remove(removed), false, 'a second time changes nothing');
        });
        const expected = nodes.map((node) => node.value);
        assert.deepEqual([...list], expected);
        assert.deepEqual([...list.backwards()], expected.toReversed());
        assert.equal(list.length, expected.length);
        assert.equal(list.first, expected[0]);
      }),
    );
  });

  test('the value just seen may be removed on the way', () => {
    const list = new LinkedList<number>();
    const nodes = [1, 2, 3].map((value) => list.pushBack(value));
    const seen: number[] = [];
    for (const value of list) {
      seen.push(value);
      const node = nodes[value - 1];
      assert.ok(node !== undefined && list.remove(node));
    }
    assert.deepEqual([seen, list.length], [[1, 2, 3], 0]);
  });

  test('a removed node leads to none of the others, so that keeping it keeps nothing else', () => {
    const list = new LinkedList<number>();
    const [, middle] = [1, 2, 3].map((value) => list.pushBack(value));
    assert.ok(middle !== undefined && list.remove(middle));
    assert.deepEqual([middle.previous, middle.next], [undefined, undefined]);
    assert.deepEqual([...list], [1, 3]);
  });
});
