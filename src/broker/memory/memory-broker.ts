/** The queue inside one process: the same decisions as on Redis, for `dev`, for tests and for the simulator. */
import type { Clock } from '../../runtime/clock.ts';
import { checkQueueName } from '../../task/names.ts';
import type { Broker, Queue } from '../broker.ts';
import { createConsumerPort } from './consumers.ts';
import { MemoryHeartbeat } from './heartbeat.ts';
import { createInspectPort } from './inspect.ts';
import { createProducerPort } from './producers.ts';
import { QueueState } from './queue-state.ts';
import { createSchedulePort } from './schedules.ts';

export interface MemoryBrokerOptions {
  /** Drives everything: leases, delays, retention, waits. */
  readonly clock: Clock;
  /** Names the install in the description; two memory brokers never share anything. */
  readonly prefix?: string;
}

interface Lock {
  readonly holder: string;
  readonly untilMs: number;
}

/** Nothing survives the process: what it holds is lost when it ends. */
export function createMemoryBroker({ clock, prefix = 'tidemill' }: MemoryBrokerOptions): Broker {
  const states = new Map<string, QueueState>();
  const queues = new Map<string, Queue>();
  const locks = new Map<string, Lock>();
  let closed = false;

  const queue = (name: string): Queue => {
    const known = queues.get(name);
    if (known !== undefined) return known;
    const state = new QueueState(checkQueueName(name), clock);
    const made = makeQueue(state);
    states.set(name, state);
    queues.set(name, made);
    return made;
  };

  return {
    description: `memory (${prefix})`,
    get connected() {
      return !closed;
    },
    connectionEpoch: undefined,
    queue,
    queueNames: async () =>
      [...states.values()]
        .filter((state) => state.used)
        .map((state) => state.name)
        .sort(),
    now: async () => clock.now(),
    memory: async () => undefined,
    startHeartbeat: (options) => new MemoryHeartbeat(clock, options, queue).start(),
    holdLock: async (name, holder, leaseMs) => {
      const nowMs = clock.now();
      const lock = locks.get(name);
      if (lock !== undefined && lock.holder !== holder && lock.untilMs > nowMs) return false;
      locks.set(name, { holder, untilMs: nowMs + leaseMs });
      return true;
    },
    releaseLock: async (name, holder) => {
      if (locks.get(name)?.holder === holder) locks.delete(name);
    },
    [Symbol.asyncDispose]: async () => {
      closed = true;
      for (const state of states.values()) state.wakeBoard.wakeAll();
    },
  };
}

function makeQueue(state: QueueState): Queue {
  return {
    name: state.name,
    runs: createProducerPort(state),
    work: createConsumerPort(state),
    schedules: createSchedulePort(state),
    inspect: createInspectPort(state),
  };
}
