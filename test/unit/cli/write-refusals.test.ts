import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toBrokerError } from '../../../src/broker/redis/reply-errors.ts';
import { WriteRefusals } from '../../../src/cli/write-refusals.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';

function refused(text: string): Error {
  const reply = new Error(text);
  reply.name = 'ReplyError';
  return toBrokerError(reply, 'cycle');
}

async function after(ms: number, act: (refusals: WriteRefusals) => void): Promise<string | undefined> {
  const clock = new VirtualClock();
  const refusals = new WriteRefusals(clock);
  refusals.failed('cycle', refused('MISCONF Errors writing to the AOF file'));
  await clock.advanceTo(ms);
  act(refusals);
  return refusals.reason;
}

describe('refused writes', () => {
  test('are told once they have lasted for 5 s, with what Redis says', async () => {
    assert.equal(await after(4_999, () => undefined), undefined);
    assert.match((await after(5_000, () => undefined)) ?? '', /refuses every write: MISCONF Errors writing/);
  });

  test('are over with the first write that is done, whichever loop asked for it', async () => {
    assert.equal(await after(5_000, (refusals) => refusals.done('recover')), undefined);
  });

  test('are not over with a read, which such a server answers', async () => {
    assert.ok(await after(5_000, (refusals) => refusals.done('states')));
  });

  test('are counted from the first of them, not from the last', async () => {
    assert.ok(await after(5_000, (refusals) => refusals.failed('promote', refused('MISCONF again'))));
  });

  test('of a full Redis, of a lacking right and of a producer leave a process ready', async () => {
    const clock = new VirtualClock();
    const refusals = new WriteRefusals(clock);
    refusals.failed('fire', refused('OOM command not allowed'));
    refusals.failed('cycle', refused('NOPERM no right'));
    refusals.failed('enqueue', refused('MISCONF Errors writing to the AOF file'));
    await clock.advanceTo(60_000);
    assert.equal(refusals.reason, undefined);
  });
});
