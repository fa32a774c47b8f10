/** A process that waits gives its memory back, once, and does nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { collectGarbage, IdleMemory } from '../../../src/runtime/idle-memory.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';

const MB = 1024 * 1024;

/** A process whose heap is what the test says, and shrinks to 20 MB when it is collected. */
function idleProcess({ heapMb = 50, broken = false } = {}) {
  const clock = new VirtualClock();
  const state = { heapMb, collections: 0, failures: 0 };
  const memory = new IdleMemory({
    clock,
    failed: () => (state.failures += 1),
    heapBytes: () => state.heapMb * MB,
    collect: () => {
      if (broken) return Promise.reject(new Error('no inspector'));
      state.collections += 1;
      state.heapMb = 20;
      return Promise.resolve();
    },
  });
  return { clock, state, memory };
}

describe('idle memory', () => {
  test('a process that has started and waits collects once', async () => {
    const { clock, state } = idleProcess();
    await clock.advanceBy(60_000);
    assert.equal(state.collections, 1);
  });

  test('it collects again only after its heap has grown by what is worth it', async () => {
    const { clock, state } = idleProcess();
    await clock.advanceBy(10_000);
    state.heapMb = 27;
    await clock.advanceBy(10_000);
    assert.equal(state.collections, 1);
    state.heapMb = 28;
    await clock.advanceBy(10_000);
    assert.equal(state.collections, 2);
  });

  test('while there is work nothing is collected, and soon after its end it is', async () => {
    const { clock, state, memory } = idleProcess();
    for (let second = 0; second < 20; second += 1) {
      memory.worked();
      await clock.advanceBy(1_000);
    }
    assert.equal(state.collections, 0);
    await clock.advanceBy(3_000);
    assert.equal(state.collections, 1);
  });

  test('where it cannot be done, it is told once and not tried again', async () => {
    const { clock, state } = idleProcess({ broken: true });
    await clock.advanceBy(60_000);
    assert.equal(state.failures, 1);
  });

  test('nothing happens after it was disposed of', async () => {
    const { clock, state, memory } = idleProcess();
    memory[Symbol.dispose]();
    await clock.advanceBy(60_000);
    assert.equal(state.collections, 0);
  });

  test('a real collection frees what nobody holds', async () => {
    const held = { garbage: new WeakRef({ some: 'object' }) };
    await turn();
    await collectGarbage();
    assert.equal(held.garbage.deref(), undefined);
  });
});
