import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { runTogether } from '../../../src/cli/run-together.ts';
import { type Shutdown, watchSignals } from '../../../src/runtime/shutdown.ts';

const shutdown = (): Shutdown => watchSignals(Object.assign(new EventEmitter(), { exit: () => undefined }));
const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

test('when one loop fails the others are stopped and waited for, and the failure is told', async () => {
  const ended: string[] = [];
  const stop = shutdown();
  const running = runTogether(stop, [
    async (signal) => {
      await untilAborted(signal);
      await new Promise((resolve) => setImmediate(resolve));
      ended.push('second');
    },
    () => Promise.reject(new Error('first')),
  ]);
  await assert.rejects(running, { message: 'first' });
  assert.deepEqual(ended, ['second']);
  assert.equal(stop.signal.reason, 'failed');
});

test('without a failure it ends when all have ended', async () => {
  const stop = shutdown();
  const running = runTogether(stop, [untilAborted, untilAborted]);
  stop.stop('enough');
  await running;
});
