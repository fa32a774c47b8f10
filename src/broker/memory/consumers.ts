/** What consumers do with a queue in memory. */
import type { ConsumerPort, CycleReply, CycleRequest, SettleAnswer, Settlement } from '../broker.ts';
import { claim, hasMoreFor } from './claim.ts';
import { cancellationsOf, heldBy, leave, recover, register, renew } from './leases.ts';
import { promote } from './promote.ts';
import type { Incarnation, QueueState } from './queue-state.ts';
import { settle } from './settle.ts';

export function createConsumerPort(queue: QueueState): ConsumerPort {
  return {
    register: async (registration) => queue.transition(() => register(queue, registration)),
    cycle: async (request) => cycle(queue, request),
    renew: async (id) => {
      const incarnation = renew(queue, id);
      if (incarnation === undefined) return { lease: 'gone', cancellations: [] };
      return { lease: 'held', cancellations: cancellationsOf(incarnation) };
    },
    held: async (id) => {
      const incarnation = queue.incarnations.get(id);
      if (incarnation === undefined) return { lease: 'gone', runs: [] };
      return { lease: 'held', runs: heldBy(incarnation) };
    },
    recover: async () => queue.transition(() => recover(queue)),
    promote: async () => queue.transition(() => promote(queue)),
    waitForWork: (cursor, maxWaitMs, signal) => queue.wakeBoard.wait(cursor, maxWaitMs, signal),
    claimWhenWoken: async (cursor, request, maxWaitMs, signal) => {
      await queue.wakeBoard.wait(cursor, maxWaitMs, signal);
      const incarnation = queue.incarnations.get(request.incarnation);
      if (signal.aborted || incarnation === undefined) return undefined;
      return answer(queue, incarnation, { ...request, settle: [] });
    },
    leave: async (incarnation) => queue.transition(() => leave(queue, incarnation)),
  };
}

function cycle(queue: QueueState, request: CycleRequest): CycleReply {
  const incarnation = renew(queue, request.incarnation);
  if (incarnation !== undefined) return answer(queue, incarnation, request);
  return {
    ...{
      lease: 'gone',
      settled: request.settle.map(() => 'unknown' as const),
      claimed: [],
      cancellations: [],
    },
    ...{ moreReady: false, wakeCursor: queue.wakeBoard.cursorFor(request.incarnation) },
    nowMs: queue.clock.now(),
  };
}

function answer(queue: QueueState, incarnation: Incarnation, request: CycleRequest): CycleReply {
  const settled = queue.transition(() => settleAll(queue, incarnation, request.settle));
  const { claim: slots } = request;
  const claimed = slots === undefined ? [] : queue.transition(() => claim(queue, incarnation, slots));
  const { nextDueAtMs } = queue;
  return {
    ...{ lease: 'held', settled, claimed, cancellations: cancellationsOf(incarnation) },
    nowMs: queue.clock.now(),
    ...{ moreReady: hasMoreFor(queue, incarnation), wakeCursor: queue.wakeBoard.cursorFor(incarnation.id) },
    ...(nextDueAtMs === undefined ? {} : { nextDueAtMs }),
  };
}

/** Released runs go to the front one by one: the last first, so that they stand there in the order in which they came. */
function settleAll(
  queue: QueueState,
  incarnation: Incarnation,
  settlements: readonly Settlement[],
): readonly SettleAnswer[] {
  const answers = settlements.map((): SettleAnswer => 'unknown');
  const isReleased = ([, { outcome }]: readonly [number, Settlement]): boolean => outcome.kind === 'released';
  const numbered = [...settlements.entries()];
  const inTurn = [
    ...numbered.filter((each) => !isReleased(each)),
    ...numbered.filter((each) => isReleased(each)).toReversed(),
  ];
  for (const [index, settlement] of inTurn) answers[index] = settle(queue, incarnation, settlement);
  return answers;
}
