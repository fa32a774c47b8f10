import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAsLeader } from '../../../src/controller/leader.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

const LEASE_MS = 15_000;

/** One lock on a clock, which can be cut off for one holder at a time. */
class Lock {
  holder: string | undefined;
  untilMs = 0;
  readonly cutOff = new Set<string>();
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  async holdLock(_name: string, holder: string, leaseMs: number): Promise<boolean> {
    this.#reach(holder);
    if (this.holder !== holder && this.untilMs > this.#clock.now()) return false;
    this.holder = holder;
    this.untilMs = this.#clock.now() + leaseMs;
    return true;
  }

  async releaseLock(_name: string, holder: string): Promise<void> {
    this.#reach(holder);
    if (this.holder === holder) this.holder = undefined;
    if (this.holder === undefined) this.untilMs = 0;
  }

  #reach(holder: string): void {
    if (this.cutOff.has(holder)) throw new TidemillError('BROKER_UNAVAILABLE', 'cut off');
  }
}

function world() {
  const clock = new VirtualClock(1_000_000);
  const lock = new Lock(clock);
  const working = new Set<string>();
  let mostAtOnce = 0;
  const start = (holder: string) => {
    const stop = new AbortController();
    const done = runAsLeader(
      { broker: lock, clock, log: silentLog, holder, leaseMs: LEASE_MS },
      stop.signal,
      async (signal) => {
        working.add(holder);
        mostAtOnce = Math.max(mostAtOnce, working.size);
        await new Promise<void>((resolve) => {
          signal.addEventListener(
            'abort',
            () => {
              resolve();
            },
            { once: true },
          );
        });
        working.delete(holder);
      },
    );
    return {
      stop: async () => {
        stop.abort();
        await done;
      },
    };
  };
  return { clock, lock, working, start, mostAtOnce: () => mostAtOnce };
}

test('one of many works, and another takes over within a lease and a fifth when it is cut off', async () => {
  const { clock, lock, working, start, mostAtOnce } = world();
  const runners = ['a', 'b', 'c'].map(start);
  await clock.advanceBy(60_000);
  assert.deepEqual([...working], ['a']);
  lock.cutOff.add('a');
  await clock.advanceBy(LEASE_MS * 1.2 + 1);
  assert.equal(working.size, 1);
  assert.ok(!working.has('a'), 'one that cannot renew stops before its lease ends');
  assert.equal(mostAtOnce(), 1);
  await Promise.all(runners.map((runner) => runner.stop()));
  assert.equal(working.size, 0);
});

test('one that is stopped gives the lock back, and the next need not wait for the lease', async () => {
  const { clock, working, start } = world();
  const a = start('a');
  const b = start('b');
  await clock.advanceBy(1_000);
  await a.stop();
  await clock.advanceBy(LEASE_MS / 5);
  assert.deepEqual([...working], ['b']);
  await b.stop();
});

test('a few answers that do not come pause nothing while the lease still runs', async () => {
  const { clock, lock, working, start } = world();
  const a = start('a');
  await clock.advanceBy(1_000);
  lock.cutOff.add('a');
  await clock.advanceBy(LEASE_MS / 2);
  assert.deepEqual([...working], ['a']);
  lock.cutOff.delete('a');
  await clock.advanceBy(LEASE_MS * 3);
  assert.deepEqual([...working], ['a']);
  await a.stop();
});

test('one that lost the lock works again once it has it back', async () => {
  const { clock, lock, working, start } = world();
  const a = start('a');
  await clock.advanceBy(1_000);
  lock.holder = 'thief';
  lock.untilMs = clock.now() + 30_000;
  await clock.advanceBy(LEASE_MS);
  assert.equal(working.size, 0);
  await clock.advanceBy(30_000);
  assert.deepEqual([...working], ['a']);
  await a.stop();
});

test('work that fails gives the lock back and the error on', async () => {
  const clock = new VirtualClock(0);
  const lock = new Lock(clock);
  const options = { broker: lock, clock, log: silentLog, holder: 'a', leaseMs: LEASE_MS };
  await assert.rejects(
    runAsLeader(options, new AbortController().signal, async () => {
      throw new Error('broken');
    }),
    /broken/,
  );
  assert.equal(lock.holder, undefined);
});

test('a signal that has aborted before the start starts nothing', async () => {
  const { lock, working } = world();
  const clock = new VirtualClock(0);
  await runAsLeader({ broker: lock, clock, log: silentLog, holder: 'a' }, AbortSignal.abort(), async () => {
    working.add('a');
  });
  assert.equal(working.size, 0);
});
