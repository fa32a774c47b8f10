/** Finds schedules in the queues by the name that people know them by. */
import type { Broker, Queue } from '../broker/broker.ts';
import { fileUid } from '../controller/file-generation.ts';
import { TidemillError } from '../runtime/errors.ts';
import { didYouMean } from '../task/near-names.ts';
import type { ScheduleState } from '../task/schedule-state.ts';
import { queuesOf } from './context.ts';
import { eraTiming } from './show-timing.ts';
import type { EraTiming } from './why.ts';

export interface FoundSchedule {
  readonly queue: Queue;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

/** All schedules in force of an install, by namespace and name. */
async function allSchedules(broker: Broker, install: string): Promise<readonly FoundSchedule[]> {
  const queues = await queuesOf(broker, undefined);
  const found = await Promise.all(
    queues.map(async (queue) =>
      (await queue.schedules.adopted(install)).map((schedule) => ({ queue, ...schedule })),
    ),
  );
  return found.flat().sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

export const nameOf = ({ namespace, name }: Pick<FoundSchedule, 'namespace' | 'name'>): string =>
  `${namespace}/${name}`;

/**
 * The schedule of that name, deleted ones from files included.
 * @param wanted - `name` or `namespace/name`
 * @param namespace - where a deleted one would have been, when `wanted` does not say
 * @throws TidemillError SCHEDULE_UNKNOWN when there is none, or when several namespaces have one
 */
export async function findSchedule(
  broker: Broker,
  install: string,
  namespace: string,
  wanted: string,
): Promise<FoundSchedule> {
  const all = await allSchedules(broker, install);
  const found = all.filter((schedule) => schedule.name === wanted || nameOf(schedule) === wanted);
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  if (second !== undefined) {
    throw new TidemillError(
      'SCHEDULE_UNKNOWN',
      `several schedules are named ${wanted}: say which of ${found.map(nameOf).join(', ')}`,
    );
  }
  const deleted = await findDeleted(
    broker,
    install,
    wanted.includes('/') ? wanted : `${namespace}/${wanted}`,
  );
  if (deleted !== undefined) return deleted;
  const known = all.flatMap((schedule) => [schedule.name, nameOf(schedule)]);
  const hint = didYouMean(wanted, known);
  throw new TidemillError(
    'SCHEDULE_UNKNOWN',
    `no schedule ${JSON.stringify(wanted)} is known in install ${install}${hint}`,
  );
}

async function findDeleted(
  broker: Broker,
  install: string,
  wanted: string,
): Promise<FoundSchedule | undefined> {
  const [namespace = '', name = ''] = wanted.split('/');
  const uid = fileUid(install, namespace, name);
  for (const queue of await queuesOf(broker, undefined)) {
    const [state] = await queue.schedules.states([uid]);
    if (state !== undefined) return { queue, uid, namespace, name };
  }
  return undefined;
}

/** A schedule with what was decided of it, and the timing of its newest spec. */
export interface ScheduleInForce extends FoundSchedule {
  readonly state: ScheduleState;
  readonly timing: EraTiming | undefined;
}

/** The first `limit` schedules of an install, by name (default: all), each at the cost of one read of its spec. `total`: how many there are. */
export async function schedulesInForce(
  broker: Broker,
  install: string,
  limit = Infinity,
): Promise<{ readonly total: number; readonly schedules: readonly ScheduleInForce[] }> {
  const all = await allSchedules(broker, install);
  const found = all.slice(0, limit);
  const [states, eras] = await Promise.all([
    statesOf(found),
    Promise.all(found.map(({ queue, uid }) => queue.schedules.eras(uid))),
  ]);
  const schedules = found.flatMap((schedule, index) => {
    const [state, era] = [states[index], eras[index]?.at(-1)];
    return state === undefined ? [] : [{ ...schedule, state, timing: era && eraTiming(era) }];
  });
  return { total: all.length, schedules };
}

/** States of many schedules, in their order, in as few calls as there are queues. */
async function statesOf(
  schedules: readonly FoundSchedule[],
): Promise<readonly (ScheduleState | undefined)[]> {
  const states = new Map<string, ScheduleState | undefined>();
  for (const [queue, inQueue] of Map.groupBy(schedules, ({ queue }) => queue)) {
    const answers = await queue.schedules.states(inQueue.map(({ uid }) => uid));
    for (const [index, { uid }] of inQueue.entries()) states.set(uid, answers[index]);
  }
  return schedules.map(({ uid }) => states.get(uid));
}
