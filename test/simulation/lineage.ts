/**
 * One history of a queue: its state, and the ledgers that watch it. A Redis that loses writes goes on with another one,
 * which is made by doing again what was done until then.
 */
import type { Broker, Queue, Settlement } from '../../src/broker/broker.ts';
import { createConsumerPort } from '../../src/broker/memory/consumers.ts';
import { createInspectPort } from '../../src/broker/memory/inspect.ts';
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { createProducerPort } from '../../src/broker/memory/producers.ts';
import { type Incarnation, type NewRun, QueueState } from '../../src/broker/memory/queue-state.ts';
import type { Run } from '../../src/broker/memory/run.ts';
import { createSchedulePort } from '../../src/broker/memory/schedules.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { ScheduleLedger } from '../support/schedule-ledger.ts';
import type { Book } from './book.ts';
import { RunLedger, type LedgerOptions } from './run-ledger.ts';
import { QUEUE, SETTINGS } from './settings.ts';
import { watchDecisions, type FiredSlots } from './decisions.ts';

/** Tells a ledger of every move that a run makes, whichever transition made it. */
class WatchedQueue extends QueueState {
  readonly #ledger: RunLedger;
  #isAdding = false;

  constructor(clock: Clock, ledger: RunLedger) {
    super(QUEUE, clock);
    this.#ledger = ledger;
    this.settings = SETTINGS;
  }

  override add(request: NewRun): Run {
    this.#ledger.added(request.id, request.task, this.waiting, this.settings);
    this.#isAdding = true;
    const run = super.add(request);
    this.#isAdding = false;
    return run;
  }

  override putPending(run: Run, end: 'front' | 'back'): void {
    if (run.state === 'failed') this.#ledger.redriven(run.id);
    if (!this.#isAdding) this.#ledger.waits(run.id, 'pending');
    super.putPending(run, end);
  }

  override putDelayed(run: Run, dueAtMs: number): void {
    if (this.#isAdding) this.#ledger.bornDelayed(run.id, dueAtMs);
    else this.#ledger.waits(run.id, 'delayed', dueAtMs);
    super.putDelayed(run, dueAtMs);
  }

  override start(run: Run, incarnation: Incarnation): void {
    super.start(run, incarnation);
    const { id, token = '', suspect, attempt } = run;
    this.#ledger.started(id, { incarnation: incarnation.id, token, suspect }, attempt);
  }

  override end(
    run: Run,
    state: Parameters<QueueState['end']>[1],
    how: Parameters<QueueState['end']>[2],
  ): void {
    this.#ledger.ended(run.id, state, how.error, this.settings.maxDeliveries);
    super.end(run, state, how);
  }
}

export interface Lineage {
  readonly queue: Queue;
  readonly state: QueueState;
  readonly runs: RunLedger;
  readonly slots: ScheduleLedger;
  readonly fired: FiredSlots;
}

export function createLineage(
  clock: Clock,
  book: Book,
  options: Omit<LedgerOptions, 'book' | 'now'>,
): Lineage {
  const runs = new RunLedger({ ...options, book, now: () => clock.now() });
  const state = new WatchedQueue(clock, runs);
  const plain: Queue = {
    name: QUEUE,
    runs: createProducerPort(state),
    work: watchWork(createConsumerPort(state), runs, book),
    schedules: createSchedulePort(state),
    inspect: createInspectPort(state),
  };
  const slots = new ScheduleLedger(brokerOf(plain, clock), clock);
  const watched = watchDecisions(slots.broker.queue(QUEUE), runs, book, () => clock.now());
  return { queue: watched.queue, state, runs, slots, fired: watched.fired };
}

/** All but the queue is never asked of it. */
function brokerOf(queue: Queue, clock: Clock): Broker {
  return { ...createMemoryBroker({ clock }), queue: () => queue };
}

function watchWork(work: Queue['work'], runs: RunLedger, book: Book): Queue['work'] {
  return {
    ...work,
    register: (registration) => {
      runs.registered(registration.incarnation, registration.consumer.host);
      return work.register(registration);
    },
    renew: (incarnation) => {
      runs.heard(incarnation);
      return work.renew(incarnation);
    },
    cycle: async (request) => {
      const { incarnation } = request;
      runs.heard(incarnation);
      const isOver = runs.lives.get(incarnation)?.isOver !== false;
      // After a rollback one consumer may have run the same hand-out twice: of two reports in one call the first counts.
      const isFirst = ({ id, token }: Settlement, index: number): boolean =>
        request.settle.findIndex((other) => other.id === id && other.token === token) === index;
      const mine = request.settle.map(
        (one, index) => !isOver && isFirst(one, index) && runs.holds(one.id, incarnation, one.token),
      );
      for (const [index, { id, outcome }] of request.settle.entries())
        if (outcome.kind === 'released' && mine[index] === true) runs.gaveBack(id);
      const reply = await work.cycle(request);
      for (const [index, answer] of reply.settled.entries()) {
        const settlement = request.settle[index];
        if (settlement === undefined) continue;
        const { id, outcome } = settlement;
        if (answer === 'returned') runs.gaveBack(id);
        if (answer !== 'unknown' && mine[index] !== true)
          book.breach('P4', `${id} was settled as ${outcome.kind} by ${incarnation}, which did not hold it`);
        if (answer === 'unknown' && mine[index] === true)
          book.breach('P3', `${id} was not settled, although ${incarnation} holds it`);
      }
      return reply;
    },
    recover: async () => {
      runs.call = 'recover';
      const reply = work.recover();
      runs.call = '';
      for (const incarnation of (await reply).ended) runs.endedByRecovery(incarnation);
      return reply;
    },
    leave: (incarnation) => {
      if (runs.lives.get(incarnation)?.isOver === false)
        for (const { id } of runs.heldBy(incarnation)) runs.gaveBack(id);
      runs.left(incarnation);
      return work.leave(incarnation);
    },
  };
}
