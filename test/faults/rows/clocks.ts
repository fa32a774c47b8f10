/** Rows 34 and 35: clocks of nodes that step, and replicas whose clocks disagree. */
import type { SlotAccount } from '../../support/slot-account.ts';
import { until } from '../../support/until.ts';
import { FalseClock } from '../false-clock.ts';
import { defineRow } from '../row.ts';
import { decidedOnce, EACH_SLOT } from '../schedules.ts';
import { QUEUE, World } from '../world.ts';

const EVERY = '500ms';
const SPEC = `task: tick, every: ${EVERY}, ${EACH_SLOT}`;
const STEPS = ['-3600', '+3600', '+34560000', '+0'] as const;
const LOCK = 'tidemill:lock:scheduler:default';

interface Decisions extends SlotAccount {
  readonly missed: number;
}

async function account(world: World, uid: string, fromMs: number): Promise<Decisions> {
  const untilMs = await world.broker.now();
  await world.decided([uid], untilMs);
  const [state] = await world.broker.queue(QUEUE).schedules.states([uid]);
  return { ...(await world.slots([[uid, EVERY]], { fromMs, untilMs })), missed: state?.missed ?? 0 };
}

export const steppingClock = defineRow({
  row: 34,
  fault: 'the clock of a node steps',
  injection:
    'libfaketime under scheduler and consumer: an hour back, an hour forward, 400 days forward, and right again',
  promise: 'the clock of Redis is the only one that counts: each slot is decided once, on time',
  waits: true,
  short: { stepMs: 3_000 },
  long: { stepMs: 60_000 },
  async run({ stepMs }, { build }) {
    await using world = await World.start(build);
    const clock = new FalseClock(world.folder, 'node', '+0');
    await world.consumer({ env: clock.env });
    const uid = world.uid('job');
    await world.scheduler(world.schedules('jobs', [['job', SPEC]]), { env: clock.env });
    await world.decided([uid], (await world.broker.now()) + 1_000);
    const fromMs = await world.broker.now();
    let stepsSeen = 0;
    for (const step of STEPS) {
      clock.set(step);
      await world.decided([uid], (await world.broker.now()) + stepMs, stepMs + 60_000);
      if (Math.abs(clock.offsetMs() - Number(step) * 1_000) < 5_000) stepsSeen += 1;
    }
    return { stepsSeen, ...(await account(world, uid, fromMs)) };
  },
  accept: {
    'each slot has one decision': (figures) => decidedOnce(figures),
    'none was missed': ({ missed }) => missed === 0,
    'the clock of a process under it stepped each time': ({ stepsSeen }) => stepsSeen === STEPS.length,
  },
});

export const disagreeingClocks = defineRow({
  row: 35,
  fault: 'the clocks of two schedulers disagree, and one runs fast',
  injection:
    'libfaketime: one 30 s behind, one ahead at 1.2 times the speed; the lock is taken from whoever leads, again and again',
  promise: 'each slot is decided once, whoever leads',
  waits: true,
  short: { changes: 5 },
  long: { changes: 100 },
  async run({ changes }, { build }) {
    await using world = await World.start(build);
    const folder = world.schedules('jobs', [['job', SPEC]]);
    const uid = world.uid('job');
    const behind = new FalseClock(world.folder, 'behind', '-30');
    const ahead = new FalseClock(world.folder, 'ahead', '+30 x1.2');
    const all = [
      await world.scheduler(folder, { env: behind.env }),
      await world.scheduler(folder, { env: ahead.env }),
    ];
    await world.decided([uid], (await world.broker.now()) + 1_000);
    const fromMs = await world.broker.now();
    const takeovers = (): number =>
      all.flatMap(({ lines }) => lines).filter((line) => line.includes('this scheduler leads now')).length;
    for (let change = 0; change < changes; change += 1) {
      await world.redis.command('DEL', LOCK);
      await world.decided([uid], (await world.broker.now()) + 1_000);
    }
    await until('somebody leads', () => takeovers() > 0);
    return { takeovers: takeovers(), ...(await account(world, uid, fromMs)) };
  },
  accept: {
    'each slot has one decision': (figures) => decidedOnce(figures),
    'none was missed': ({ missed }) => missed === 0,
    'somebody led': ({ takeovers }) => takeovers > 0,
  },
});
