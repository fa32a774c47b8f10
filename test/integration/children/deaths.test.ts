/** However a child dies with a run, the run ends once, with the right reason, and the next run finds a child. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FailureReason } from '../../../src/task/run.ts';
import { TestPool } from '../../support/cpu-pool.ts';

let pool: TestPool;
before(async () => {
  pool = await TestPool.start({ maxOldSpaceMb: 40 });
});
after(() => pool[Symbol.asyncDispose]());

const DEATHS: readonly (readonly [string, string, unknown, FailureReason, RegExp])[] = [
  ['exits with 0 and no result', 'exits', { code: 0 }, 'ExitedSilently', /code 0 and no result/],
  ['exits with 13 (an await that never settles)', 'exits', { code: 13 }, 'ExitedSilently', /code 13/],
  ['exits with 1', 'exits', { code: 1 }, 'Crashed', /code 1; its last output: about to leave/],
  ['exits with 134 without V8 having said anything', 'exits', { code: 134 }, 'Crashed', /code 134/],
  ['is killed by SIGKILL', 'kills-itself', { signal: 'SIGKILL' }, 'Killed', /SIGKILL/],
  ['is ended by SIGSEGV', 'kills-itself', { signal: 'SIGSEGV' }, 'Killed', /SIGSEGV/],
  ['aborts without a heap limit being reached', 'kills-itself', { signal: 'SIGABRT' }, 'Killed', /SIGABRT/],
  ['fills its heap', 'fills-heap', {}, 'HeapOutOfMemory', /heap limit/],
  ['sends a message that is none of ours', 'babbles', {}, 'Lost', /unexpected message/],
  ['closes its channel', 'disconnects', {}, 'Lost', /closed its channel/],
  ['throws where nobody catches', 'throws-later', {}, 'Error', /nobody catches this/],
];

for (const [what, task, params, reason, message] of DEATHS) {
  test(
    `a child that ${what} ends its run as ${reason}, and the next run succeeds`,
    { timeout: 60_000 },
    async () => {
      const result = await pool.run(task, params);
      assert.ok(result.kind === 'failed');
      assert.equal(result.error.reason, reason);
      assert.match(result.error.message, message);
      assert.equal(result.retry, 'policy');
      assert.equal((await pool.run('adds', { a: 1, b: 1 })).kind, 'succeeded');
      assert.equal(pool.pool.healthy, true);
    },
  );
}

test('an uncaught error names itself, as if the body had thrown it', async () => {
  const result = await pool.run('throws-later');
  assert.ok(result.kind === 'failed');
  assert.equal(result.error.name, 'TypeError');
  assert.match(result.error.stack ?? '', /zoo\.ts/);
});
