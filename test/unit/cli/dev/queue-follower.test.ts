/** What `dev` does when a consumer ends although nobody asked it to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_QUEUE_SETTINGS } from '../../../../src/broker/broker.ts';
import { QueueFollower } from '../../../../src/cli/dev/queue-follower.ts';
import { Consumer } from '../../../../src/consumer/consumer.ts';
import { TidemillError } from '../../../../src/runtime/errors.ts';
import { openApp } from '../../../../src/task/app.ts';
import { buildManifest } from '../../../../src/task/build-manifest.ts';
import { defineTask } from '../../../../src/task/define-task.ts';
import { TaskRegistry } from '../../../../src/task/registry.ts';
import { createLog, silentLog } from '../../../../src/telemetry/log.ts';
import { ConsumerWorld } from '../../../support/consumer-world.ts';

const deaf = defineTask({
  name: 'deaf',
  timeout: '1s',
  run: () => new Promise<void>(() => undefined),
});
const noop = defineTask({ name: 'noop', run: () => undefined });

async function following(world: ConsumerWorld, refused?: string) {
  const registry = new TaskRegistry([deaf, noop]);
  const app = await openApp(undefined, { log: silentLog });
  const lines: string[] = [];
  const follower = new QueueFollower({
    broker: world.broker,
    clock: world.clock,
    log: createLog({
      level: 'error',
      clock: world.clock,
      destination: { write: (line) => lines.push(line) },
    }),
    makeConsumer: (queues) => {
      if (queues[0] === refused) throw new TidemillError('BROKER_FORMAT', `queue ${refused} is refused`);
      return new Consumer({
        ...{ broker: world.broker, queues, registry, app, clock: world.clock, log: silentLog },
        manifest: buildManifest(registry, 1),
        settings: DEFAULT_QUEUE_SETTINGS,
        identity: { host: 'test', pid: 1, version: '0' },
        ioConcurrency: 6,
        drainMs: 1_000,
      });
    },
  });
  const stop = new AbortController();
  let end: string | undefined;
  const ended = follower.run(stop.signal).then(
    () => (end = 'stopped'),
    (error: unknown) => (end = String(error)),
  );
  await world.clock.advanceBy(100);
  return { follower, lines, stop: () => stop.abort(), ended, end: () => end };
}

test('a consumer that drains because its slots have leaked is followed by a new one, and that is told', async () => {
  await using world = new ConsumerWorld([deaf, noop]);
  const { lines, stop, end } = await following(world);
  const deafs = await world.enqueue('deaf', 6);
  await world.clock.advanceBy(10_000);
  assert.deepEqual(await world.states(deafs), { failed: 6 });
  const later = await world.enqueue('noop', 10);
  await world.clock.advanceBy(2_000);
  assert.deepEqual(await world.states(later), { succeeded: 10 });
  assert.equal(lines.length, 1, lines.join(''));
  assert.match(lines[0] ?? '', /"queue":"default".*too many runs ignore their signal/);
  assert.equal(end(), undefined);
  stop();
  await world.clock.advanceBy(10_000);
  assert.equal(end(), 'stopped');
});

test('a queue that cannot be worked on ends all, with its error, after the others have given back their runs', async () => {
  await using world = new ConsumerWorld([deaf, noop]);
  const { follower, end } = await following(world, 'other');
  const [id = ''] = await world.enqueue('deaf');
  await world.clock.advanceBy(100);
  assert.equal(await world.stateOf(id), 'running');
  await world.enqueue('noop', 1, { queue: 'other' });
  await world.clock.advanceBy(10_000);
  assert.equal(end(), 'TidemillError: queue other is refused');
  assert.equal(follower.running, 0);
  assert.notEqual(await world.stateOf(id), 'running');
});
