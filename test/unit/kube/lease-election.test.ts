/** Who leads, and for how long: the rules, and the loop round them under a virtual clock. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decide, type LeaseSnapshot, observe } from '../../../src/kube/lease-decision.ts';
import { type LeasePort, type LeaseWrite, runWithLease } from '../../../src/kube/lease-election.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

const LEASE_MS = 15_000;
const lease = (holder: string, more: Partial<LeaseSnapshot> = {}): LeaseSnapshot => ({
  holder,
  leaseMs: LEASE_MS,
  transitions: 3,
  version: '7',
  ...more,
});

describe('a decision on a Lease', () => {
  test('a Lease that is not there, or is nobody’s, is taken', () => {
    assert.deepEqual(decide(undefined, 'me', LEASE_MS, 0), {
      kind: 'take',
      record: { holder: 'me', leaseMs: LEASE_MS, transitions: 0 },
    });
    assert.deepEqual(decide({ lease: lease(''), sinceMs: 0 }, 'me', LEASE_MS, 0), {
      kind: 'take',
      record: { holder: 'me', leaseMs: LEASE_MS, transitions: 4 },
    });
  });

  test('our own is renewed, however old, without counting a transition', () => {
    assert.deepEqual(decide({ lease: lease('me'), sinceMs: 0 }, 'me', LEASE_MS, 1e9), {
      kind: 'renew',
      record: { holder: 'me', leaseMs: LEASE_MS, transitions: 3 },
    });
  });

  test('another’s is left alone until it has not changed for its own duration', () => {
    const observed = { lease: lease('other', { leaseMs: 40_000 }), sinceMs: 1_000 };
    assert.equal(decide(observed, 'me', LEASE_MS, 40_999).kind, 'wait');
    assert.equal(decide(observed, 'me', LEASE_MS, 41_000).kind, 'take');
  });

  test('a version seen before keeps the time at which it was first seen; a new one begins anew', () => {
    const first = observe(undefined, lease('other'), 100);
    assert.equal(observe(first, lease('other'), 5_000).sinceMs, 100);
    assert.equal(observe(first, lease('other', { version: '8' }), 5_000).sinceMs, 5_000);
  });
});

/** A Lease in memory, which can be out of reach for some. */
class MemoryLease {
  lease: LeaseSnapshot | undefined;
  readonly writes: LeaseWrite[] = [];
  readonly cutOff = new Set<string>();
  /** What the next write of these meets. */
  readonly hanging = new Set<string>();
  #version = 0;

  port(who: string): LeasePort {
    const reach = (): void => {
      if (this.cutOff.has(who)) throw new Error('out of reach');
    };
    return {
      read: async () => {
        reach();
        if (this.hanging.has(who)) await new Promise(() => undefined);
        return this.lease;
      },
      write: async (record, over) => {
        reach();
        if (over?.version !== this.lease?.version) return 'conflict';
        this.writes.push(record);
        const { holder, leaseMs, transitions } = record;
        this.lease = { holder, leaseMs, transitions, version: String((this.#version += 1)) };
        return this.lease;
      },
    };
  }
}

interface Process {
  /** Whether it works now. */
  leading: boolean;
  terms: number;
  readonly stop: () => Promise<void>;
  readonly changes: boolean[];
}

function start(memory: MemoryLease, clock: VirtualClock, identity: string, random = 0.5): Process {
  const stop = new AbortController();
  const process: { -readonly [K in keyof Process]: Process[K] } = {
    leading: false,
    terms: 0,
    changes: [],
    stop: async () => {
      stop.abort();
      await running;
    },
  };
  const options = {
    leases: memory.port(identity),
    clock,
    log: silentLog,
    identity,
    random: () => random,
    onChange: (leading: boolean) => process.changes.push(leading),
  };
  const running = runWithLease(options, stop.signal, async (signal) => {
    process.leading = true;
    process.terms += 1;
    await clock.sleep(Number.MAX_SAFE_INTEGER, signal);
    process.leading = false;
  });
  return process;
}

/** One that hangs stops when it has waited long enough. */
async function stopAll(clock: VirtualClock, all: readonly Process[]): Promise<void> {
  const stopped = Promise.all(all.map(({ stop }) => stop()));
  await clock.advanceBy(5_000);
  await stopped;
}

describe('an election', () => {
  test('one of three leads, and another one follows when it dies without a word', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const all = ['a', 'b', 'c'].map((name, index) => start(memory, clock, name, index / 3));
    await clock.advanceBy(60_000);
    assert.equal(all.filter(({ leading }) => leading).length, 1);
    const dead = memory.lease?.holder ?? '';
    memory.hanging.add(dead);
    const beforeMs = clock.now();
    while (memory.lease?.holder === dead) await clock.advanceBy(100);
    const tookMs = clock.now() - beforeMs;
    assert.ok(tookMs > LEASE_MS - 2_000 && tookMs <= LEASE_MS + 4_400, `${tookMs} ms`);
    assert.equal(memory.lease?.transitions, 1);
    await stopAll(clock, all);
  });

  test('a leader that goes gives the Lease back, so that the next one does not wait for its end', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const a = start(memory, clock, 'a');
    await clock.advanceBy(100);
    const b = start(memory, clock, 'b');
    await clock.advanceBy(10_000);
    await a.stop();
    const { renewedAtMs, acquiredAtMs, ...record } = memory.writes.at(-1) ?? {};
    assert.deepEqual(record, { holder: '', leaseMs: 1_000, transitions: 0 });
    assert.equal(renewedAtMs, clock.now());
    assert.equal(acquiredAtMs, clock.now());
    await clock.advanceBy(4_400);
    assert.equal(b.leading, true);
    await b.stop();
  });

  test('a leader without the API server goes on, and ends when it sees another holder', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const a = start(memory, clock, 'a');
    await clock.advanceBy(100);
    const b = start(memory, clock, 'b');
    await clock.advanceBy(5_000);
    memory.cutOff.add('a').add('b');
    await clock.advanceBy(600_000);
    assert.equal(a.leading, true);
    memory.cutOff.delete('b');
    await clock.advanceBy(20_000);
    assert.equal(b.leading, true);
    assert.equal(a.leading, true);
    memory.cutOff.delete('a');
    await clock.advanceBy(2_100);
    assert.equal(a.leading, false);
    assert.deepEqual(a.changes, [true, false]);
    await stopAll(clock, [a, b]);
  });

  test('a leader that comes back and finds the Lease still its own was leader all the time', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const a = start(memory, clock, 'a');
    await clock.advanceBy(5_000);
    memory.cutOff.add('a');
    await clock.advanceBy(600_000);
    memory.cutOff.delete('a');
    await clock.advanceBy(5_000);
    assert.deepEqual(a.changes, [true]);
    assert.equal(a.terms, 1);
    await a.stop();
  });

  test('a Lease that somebody deleted or emptied is taken again without a break', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const a = start(memory, clock, 'a');
    await clock.advanceBy(5_000);
    memory.lease = undefined;
    await clock.advanceBy(5_000);
    assert.equal(a.leading, true);
    memory.lease = lease('', { version: 'edited' });
    await clock.advanceBy(5_000);
    assert.deepEqual([a.changes, memory.lease.holder], [[true], 'a']);
    await a.stop();
  });

  test('stopping waits neither for an answer that does not come nor, for long, for the Lease', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const a = start(memory, clock, 'a');
    await clock.advanceBy(3_000);
    memory.hanging.add('a');
    await clock.advanceBy(3_000);
    let isStopped = false;
    void a.stop().then(() => (isStopped = true));
    await clock.advanceBy(3_000);
    assert.equal(isStopped, true);
  });

  test('work that throws gives the Lease back and tells', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const options = { leases: memory.port('a'), clock, log: silentLog, identity: 'a' };
    const failing = runWithLease(options, new AbortController().signal, async () => {
      throw new Error('a defect of the work');
    });
    await assert.rejects(failing, /a defect/);
    assert.equal(memory.lease?.holder, '');
  });

  test('work that ends by itself is not begun again in a loop', async () => {
    const memory = new MemoryLease();
    const clock = new VirtualClock(1_000_000);
    const stop = new AbortController();
    let terms = 0;
    const options = { leases: memory.port('a'), clock, log: silentLog, identity: 'a', random: () => 0 };
    const running = runWithLease(options, stop.signal, async () => {
      terms += 1;
    });
    await clock.advanceBy(9_000);
    assert.equal(terms, 5);
    stop.abort();
    await running;
  });
});
