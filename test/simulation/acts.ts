/** Carries out the actions of a plan: faults that end by themselves, edits of objects, and what people do. */
import { RUN_NOW } from '../../src/resource/trigger-annotations.ts';
import type { ScheduledObject } from '../../src/resource/scheduled-object.ts';
import type { SpecInput } from '../support/schedule-world.ts';
import type { Action, Verb } from './plan.ts';
import { POISON } from './settings.ts';
import { TASK_NAMES } from './tasks.ts';
import type { World } from './world.ts';

const LONGEST_FAULT_MS = 35_000;
const LONGEST_AWAY_MS = 20_000;
const LONGEST_ROLLBACK_MS = 15_000;
const LONGEST_PAUSE_MS = 10_000;
const LARGEST_BATCH = 12;
const MOST_OBJECTS = 5;
/** Share of the losses of Redis that no connection notices. */
const UNNOTICED = 0.3;

const TIMINGS: readonly SpecInput[] = [
  { every: '1500ms' },
  { every: '2s' },
  { every: '5s', offset: '1s' },
  { every: '20s' },
  { every: '10s', jitter: '3s' },
  { schedule: '* * * * *' },
];
const POLICIES: readonly SpecInput[] = [
  { missedRunPolicy: 'Latest', concurrencyPolicy: 'Allow' },
  { missedRunPolicy: 'Latest', concurrencyPolicy: 'Forbid' },
  { missedRunPolicy: 'Skip', concurrencyPolicy: 'Replace' },
  { missedRunPolicy: 'All', concurrencyPolicy: 'Allow', maxCatchUp: 20 },
  { missedRunPolicy: 'All', concurrencyPolicy: 'Allow', startingDeadlineSeconds: 40 },
];

/** `roll` is from 0 up to 1. */
function choose<T>(items: readonly T[], roll: number): T | undefined {
  return items[Math.floor(roll * items.length)];
}

export async function act(world: World, action: Action): Promise<void> {
  const { which, much } = action;
  const fault = 1_000 + much * LONGEST_FAULT_MS;
  const controller = choose(world.controllers, which);
  const consumer = choose(world.consumers, which);
  const { people, redis, clock } = world;
  const isNoticed = action.kind >= UNNOTICED;
  const acts: Readonly<Record<Verb, () => unknown>> = {
    create: () => {
      if (world.store.all().length < MOST_OBJECTS) world.store.create(world.newName('s'), specOf(action));
    },
    edit: () => withObject(world, which, ({ name }) => world.store.replace(name, specOf(action))),
    'suspend or resume': () =>
      withObject(world, which, ({ name, spec }) =>
        world.store.edit(name, { suspend: !('suspend' in spec && spec.suspend) }),
      ),
    delete: () => withObject(world, which, ({ name }) => world.store.delete(name)),
    recreate: () => withObject(world, which, ({ name }) => world.store.create(name, specOf(action))),
    trigger: () =>
      withObject(world, which, ({ name }) =>
        world.store.annotate(name, { [RUN_NOW]: world.newName('request-') }),
      ),
    relist: () => {
      for (const { source } of world.controllers) source.relist();
    },
    'crash controller': () => controller && world.replaceController(controller),
    'freeze controller': () => controller && freeze(world, controller.process, fault),
    'cut controller': () => controller?.process.cutFor(fault),
    'cut off from objects': () => {
      if (controller === undefined) return;
      const setCutOff = (isCutOff: boolean): void => {
        if (controller.process.isDead) return;
        controller.isCutOff = isCutOff;
        controller.source.cutOff = isCutOff;
      };
      setCutOff(true);
      clock.after(fault, () => setCutOff(false));
    },
    'crash consumer': () => consumer && world.crashConsumer(consumer),
    'freeze consumer': () => consumer && freeze(world, consumer.process, fault),
    'cut consumer': () => consumer?.process.cutFor(fault),
    'stop consumer': () => consumer && world.stopConsumer(consumer),
    enqueue: () => enqueue(world, action),
    'enqueue poison': () => {
      people.enqueue(POISON, 1);
      people.enqueue('work', 6);
    },
    cancel: () => {
      const id = choose([...redis.lineage.runs.open.keys()], which);
      if (id !== undefined) people.cancel(id);
    },
    redrive: () => {
      const failed = [...redis.lineage.state.runs.values()].filter(({ state }) => state === 'failed');
      const run = choose(failed, which);
      if (run !== undefined && run.task !== POISON) people.redrive(run.id);
    },
    purge: () => people.purge(),
    'pause task': () => {
      const task = choose(TASK_NAMES, which) ?? 'work';
      people.pauseTask(task, true);
      clock.after(much * LONGEST_PAUSE_MS, () => people.pauseTask(task, false));
    },
    'pause queue': () => {
      people.pauseQueue(true);
      clock.after(much * LONGEST_PAUSE_MS, () => people.pauseQueue(false));
    },
    'redis away': () => redis.goAway(much * LONGEST_AWAY_MS),
    'redis emptied': () => redis.empty(isNoticed),
    'redis rolled back': () => redis.rollBack(much ** 2 * LONGEST_ROLLBACK_MS, isNoticed),
  };
  await acts[action.verb]();
}

function freeze(world: World, process: { freeze(): void; thaw(): void }, forMs: number): void {
  process.freeze();
  world.clock.after(forMs, () => process.thaw());
}

function withObject(world: World, which: number, change: (object: ScheduledObject) => unknown): void {
  const object = choose(world.store.all(), which);
  if (object !== undefined) change(object);
}

function enqueue(world: World, { which, much, kind }: Action): void {
  const task = choose(TASK_NAMES, which) ?? 'work';
  const count = 1 + Math.floor(much * (task === 'slow' ? LARGEST_BATCH / 4 : LARGEST_BATCH));
  const delayed = kind < 0.3 ? { delayMs: Math.floor(kind * 20_000) } : {};
  const expiring = kind > 0.85 ? { expiresInMs: 2_000 } : {};
  world.people.enqueue(task, count, { ...delayed, ...expiring, priority: kind < 0.5 ? 'medium' : 'low' });
}

function specOf({ which, much, kind }: Action): SpecInput {
  const task = choose(['work', 'work', 'limited', 'flaky'] as const, (which * 7) % 1);
  return { ...choose(TIMINGS, much), ...choose(POLICIES, kind), task: task ?? 'work' };
}
