/** A consumer that is killed takes its children with it, busy ones too. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { eventually, isAlive } from '../../support/cpu-pool.ts';

const PARENT = new URL('../../fixtures/tasks/pool-parent.ts', import.meta.url).pathname;

for (const [task, kind] of [
  ['spins', 'unrestricted'],
  ['spins', 'restricted'],
  ['ignores-everything', 'unrestricted'],
] as const) {
  test(
    `when the parent is killed with SIGKILL, its ${kind} child that ${task} is gone within seconds, and so is an idle one`,
    { timeout: 60_000 },
    async () => {
      const parent = fork(PARENT, [task, kind], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        execArgv: [],
      });
      try {
        const [pids] = (await once(parent, 'message')) as [number[]];
        assert.equal(pids.length, 2);
        assert.ok(pids.every(isAlive));
        const exit = once(parent, 'exit');
        parent.kill('SIGKILL');
        await exit;
        await eventually('both children are gone', () => !pids.some(isAlive), 5_000);
      } finally {
        parent.kill('SIGKILL');
      }
    },
  );
}
