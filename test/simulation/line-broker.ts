/** The broker as one process sees it: each call goes over its line. */
import type { Broker, ConsumerPort, ProducerPort, Queue, SchedulePort } from '../../src/broker/broker.ts';
import { MemoryHeartbeat } from '../../src/broker/memory/heartbeat.ts';
import { TidemillError } from '../../src/runtime/errors.ts';
import { claimNow } from '../support/faulty-broker.ts';
import { adoptSentAtMs } from '../support/schedule-world.ts';
import type { SimulatedProcess } from './process.ts';
import type { SimulatedRedis } from './redis.ts';
import { CALL_TIMEOUT_MS, QUEUE } from './settings.ts';

export function lineBroker(process: SimulatedProcess, redis: SimulatedRedis): Broker {
  const write = <T>(name: string, request: unknown, ask: (queue: Queue) => Promise<T>): Promise<T> =>
    process.call(name, request, () => redis.ask(ask));
  const read = <T>(name: string, ask: (queue: Queue) => Promise<T>): Promise<T> =>
    process.call(name, undefined, () => ask(redis.queue));
  const queue: Queue = {
    name: QUEUE,
    runs: producerPort(write, read),
    work: consumerPort(process, redis, write),
    schedules: schedulePort(process, write, read),
    inspect: {
      ...redis.queue.inspect,
      tasks: () => read('tasks', ({ inspect }) => inspect.tasks()),
      manifests: () => read('manifests', ({ inspect }) => inspect.manifests()),
      consumers: () => read('consumers', ({ inspect }) => inspect.consumers()),
      purge: (reason, limit) => write('purge', reason, ({ inspect }) => inspect.purge(reason, limit)),
      setTaskPaused: (task, paused) =>
        write('pause', task, ({ inspect }) => inspect.setTaskPaused(task, paused)),
      setQueuePaused: (paused) => write('pause', paused, ({ inspect }) => inspect.setQueuePaused(paused)),
    },
  };
  return {
    description: 'simulated',
    connected: true,
    get connectionEpoch() {
      return process.epoch;
    },
    queue: () => queue,
    queueNames: () => process.call('queueNames', undefined, async () => [QUEUE]),
    now: () => process.call('now', undefined, async () => redis.nowMs),
    memory: async () => undefined,
    startHeartbeat: (options) => new MemoryHeartbeat(process.clock, options, () => queue).start(),
    holdLock: async () => true,
    releaseLock: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

type Write = <T>(name: string, request: unknown, ask: (queue: Queue) => Promise<T>) => Promise<T>;
type Read = <T>(name: string, ask: (queue: Queue) => Promise<T>) => Promise<T>;

function producerPort(write: Write, read: Read): ProducerPort {
  return {
    enqueue: (requests) => write('enqueue', requests, ({ runs }) => runs.enqueue(requests)),
    cancel: (ids, reason) => write('cancel', ids, ({ runs }) => runs.cancel(ids, reason)),
    redrive: (ids) => write('redrive', ids, ({ runs }) => runs.redrive(ids)),
    get: (id) => read('get', ({ runs }) => runs.get(id)),
    waitForEnd: (id, options) => read('waitForEnd', ({ runs }) => runs.waitForEnd(id, options)),
  };
}

function consumerPort(process: SimulatedProcess, redis: SimulatedRedis, write: Write): ConsumerPort {
  return {
    register: (registration) => write('register', registration, ({ work }) => work.register(registration)),
    cycle: (request) => write('cycle', request, ({ work }) => work.cycle(request)),
    renew: (incarnation) => write('renew', incarnation, ({ work }) => work.renew(incarnation)),
    held: (incarnation) => write('held', incarnation, ({ work }) => work.held(incarnation)),
    recover: () => write('recover', undefined, ({ work }) => work.recover()),
    promote: () => write('promote', undefined, ({ work }) => work.promote()),
    leave: (incarnation) => write('leave', incarnation, ({ work }) => work.leave(incarnation)),
    waitForWork: async (cursor, maxWaitMs, signal) => {
      await process.runs();
      if (process.isCut || redis.isAway) await process.clock.sleep(maxWaitMs, signal);
      else await redis.queue.work.waitForWork(cursor, maxWaitMs, signal);
      await process.runs();
    },
    claimWhenWoken: async (cursor, request, maxWaitMs, signal) => {
      await process.runs();
      const isCalledOff = (): boolean => signal.aborted;
      if (isCalledOff()) return undefined;
      process.onSend('cycle', { ...request, settle: [] });
      if (process.isCut || redis.isAway) {
        await process.clock.sleep(maxWaitMs, signal);
        return undefined;
      }
      const { epoch, worldNowMs: sentMs } = process;
      await redis.queue.work.waitForWork(cursor, maxWaitMs, signal);
      // A connection that was cut took the claim with it. Else Redis makes it, whether its sender is frozen, or gone without a word.
      const isMade = !isCalledOff() && process.epoch === epoch;
      const reply = isMade ? await redis.ask(({ work }) => claimNow(work, request)) : undefined;
      await process.runs();
      if (isCalledOff() && !isMade) return undefined;
      if (process.epoch !== epoch || process.worldNowMs - sentMs > maxWaitMs + CALL_TIMEOUT_MS)
        throw new TidemillError('BROKER_UNAVAILABLE', 'a claim that waited was not answered in time');
      return reply;
    },
  };
}

function schedulePort(process: SimulatedProcess, write: Write, read: Read): SchedulePort {
  return {
    adopt: (requests) => {
      adoptSentAtMs.set(requests, process.worldNowMs);
      return write('adopt', requests, ({ schedules }) => schedules.adopt(requests));
    },
    fire: (requests) => write('fire', requests, ({ schedules }) => schedules.fire(requests)),
    withdraw: (uids) => write('withdraw', uids, ({ schedules }) => schedules.withdraw(uids)),
    request: (uid, asked) => write('request', asked, ({ schedules }) => schedules.request(uid, asked)),
    requested: (install, limit) => read('requested', ({ schedules }) => schedules.requested(install, limit)),
    states: (uids) => read('states', ({ schedules }) => schedules.states(uids)),
    adopted: (install) => read('adopted', ({ schedules }) => schedules.adopted(install)),
    decisions: (uid, span) => read('decisions', ({ schedules }) => schedules.decisions(uid, span)),
    eras: (uid) => read('eras', ({ schedules }) => schedules.eras(uid)),
  };
}
