/** The memory broker keeps the contract, on a clock that stands still between steps. */
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { VirtualClock } from '../../src/runtime/virtual-clock.ts';
import { describeBroker } from './suite.ts';

describeBroker('memory broker', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const broker = createMemoryBroker({ clock });
  return {
    broker,
    passTime: (ms) => clock.advanceBy(ms),
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  };
});
