/** What befalls a soak: drawn from a seed, two at a time, one on processes and one on Redis and the network. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RandomSource } from '../support/random.ts';
import { pause } from './load.ts';
import type { Member, Role, SoakFleet } from './fleet.ts';

interface Fault {
  readonly name: string;
  /** @returns whether there was something that it could befall */
  readonly strike: (fleet: SoakFleet, random: RandomSource) => Promise<boolean>;
}

/** Longer than a lease of 10 s, shorter than the 30 s after which a process that stands still ends itself. */
const FREEZE = { min: 1_000, max: 18_000 };
/** Longer and shorter than a call may wait for its answer. */
const OUTAGE = { min: 500, max: 8_000 };

const onProcesses: readonly Fault[] = [
  { name: 'consumer kill -9', strike: ending('consumer', 'SIGKILL') },
  { name: 'consumer SIGTERM', strike: ending('consumer', 'SIGTERM') },
  { name: 'consumer SIGSTOP', strike: freezing('consumer') },
  { name: 'scheduler kill -9', strike: ending('scheduler', 'SIGKILL') },
  { name: 'scheduler SIGSTOP', strike: freezing('scheduler') },
  { name: 'child kill -9', strike: killChild },
];

const onRedis: readonly Fault[] = [
  {
    name: 'Redis kill -9, started again',
    strike: async ({ redis }, random) => {
      await redis.kill();
      await sleep(random.between({ min: 0, max: 3_000 }));
      await redis.restart();
      return true;
    },
  },
  {
    name: 'Redis SIGSTOP',
    strike: async ({ redis }, random) => {
      redis.freeze();
      await sleep(random.between(OUTAGE));
      redis.thaw();
      return true;
    },
  },
  {
    name: 'SCRIPT FLUSH',
    strike: async ({ redis }) => (await redis.command('SCRIPT', 'FLUSH')).startsWith('+OK'),
  },
  {
    name: 'connections cut',
    strike: async ({ proxy }) => {
      proxy.cut();
      return true;
    },
  },
  {
    name: 'connection cut between request and reply',
    strike: async ({ proxy }) => {
      await Promise.race([proxy.cutAfterRequest(/EVALSHA/i), sleep(5_000)]);
      return true;
    },
  },
  { name: 'network frozen', strike: onNetwork('freeze') },
  { name: 'network half open', strike: onNetwork('half-open') },
];

function onNetwork(mode: 'freeze' | 'half-open'): Fault['strike'] {
  return async ({ proxy }, random) => {
    proxy.mode = mode;
    await sleep(random.between(OUTAGE));
    // Bytes that a connection lost never come again: after a hole in the stream only a new one is left.
    if (mode === 'half-open') proxy.cut();
    proxy.mode = 'pass';
    return true;
  };
}

function ending(role: Role, signal: 'SIGKILL' | 'SIGTERM'): Fault['strike'] {
  return async (fleet, random) => {
    const victim = victimOf(fleet, random, (member) => member.role === role && !member.steady);
    if (victim === undefined) return false;
    await fleet.replace(victim, signal);
    return true;
  };
}

function freezing(role: Role): Fault['strike'] {
  return async (fleet, random) => {
    const victim = victimOf(fleet, random, (member) => member.role === role);
    if (victim === undefined) return false;
    victim.process.signal('SIGSTOP');
    await sleep(random.between(FREEZE));
    victim.process.signal('SIGCONT');
    return true;
  };
}

async function killChild(fleet: SoakFleet, random: RandomSource): Promise<boolean> {
  const parents = fleet.members.filter(({ role }) => role === 'consumer').map(({ process }) => process.pid);
  const child = random.pick(
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => parents.includes(parentOf(pid))),
  );
  if (child === undefined) return false;
  process.kill(child, 'SIGKILL');
  return true;
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function victimOf(
  fleet: SoakFleet,
  random: RandomSource,
  fits: (member: Member) => boolean,
): Member | undefined {
  return random.pick(
    fleet.members.filter((member) => member.process.running && !member.busy && fits(member)),
  );
}

/** How often each fault struck. */
export type FaultCounts = Record<string, number>;

/** Lets faults strike until the signal, and mends the last of each before it resolves. */
export async function strikeFaults(
  fleet: SoakFleet,
  [first, second]: readonly [RandomSource, RandomSource],
  meanGapMs: number,
  signal: AbortSignal,
): Promise<FaultCounts> {
  const counts: FaultCounts = {};
  const hand = async (faults: readonly Fault[], random: RandomSource): Promise<void> => {
    while (true) {
      await pause(random.between({ min: meanGapMs * 0.3, max: meanGapMs * 1.7 }), signal);
      const fault = random.pick(faults);
      if (signal.aborted || fault === undefined) return;
      if (await fault.strike(fleet, random)) counts[fault.name] = (counts[fault.name] ?? 0) + 1;
    }
  };
  await Promise.all([hand(onProcesses, first), hand(onRedis, second)]);
  return counts;
}
