/** The example as separate processes on Redis, by the lines of the README, from the built package. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { RedisServer } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const README_REDIS = 'redis://127.0.0.1:6379';

/** The lines of the README's part about Redis alone that name it, as argument lists for node: `npm run x -- args` is looked up in package.json. */
function readmeLines(redisUrl: string): readonly (readonly string[])[] {
  const scripts: unknown = Reflect.get(
    JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as object,
    'scripts',
  );
  const [, part = ''] =
    /\n### On Redis, without a cluster(.*?)\n##/s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? [];
  const lines = part.split('\n').filter((line) => line.startsWith('npm run ') && line.includes(README_REDIS));
  return lines.map((line) => {
    const [, name = '', args = ''] = /^npm run (\S+) -- (.*)$/.exec(line) ?? [];
    const script = String(Reflect.get(scripts as object, name));
    return [
      ...script.replace(/^node /, '').split(' '),
      ...args.replaceAll(README_REDIS, redisUrl).split(' '),
    ];
  });
}

test('scheduler, consumer and producer of the README run the example on Redis and stop cleanly', async (t) => {
  assert.ok(existsSync(join(ROOT, 'dist/index.js')), 'run by npm test, which builds first');
  await using redis = await RedisServer.start();
  const [scheduler, consumer, producer, ...rest] = readmeLines(redis.url);
  assert.ok(scheduler && consumer && producer);
  assert.deepEqual(rest, []);

  const running = [scheduler, consumer].map((args) =>
    spawn(process.execPath, [...args, ...(args === scheduler ? ['--http-port', '0'] : [])], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  for (const process of running) process.stdout.resume();
  const exits = running.map(
    (process) => new Promise<number | null>((resolve) => process.once('exit', resolve)),
  );
  try {
    const produced = spawn(process.execPath, [...producer], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    produced.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    assert.equal(await new Promise((resolve) => produced.once('close', resolve)), 0);
    assert.match(output, /enqueued default:.*\nreadings fetched; their forecast is run default:/);

    await using broker = await connectRedis({ url: redis.url });
    const { inspect } = broker.queue('default');
    const seen = await until('scheduled runs of each kind ended', async () => {
      const { runs } = await inspect.runs({ states: ['succeeded', 'failed'], limit: 500 });
      const tasks = new Set(runs.map((run) => `${run.task} ${run.state} ${run.options.source}`));
      const wanted = [
        'fetch-readings succeeded schedule',
        'forecast-tide succeeded task',
        'send-alert succeeded task',
        'inspect-light failed schedule',
      ];
      return wanted.every((one) => tasks.has(one)) && tasks;
    });
    t.diagnostic([...seen].join(', '));
  } finally {
    for (const process of running) process.kill('SIGTERM');
  }
  assert.deepEqual(await Promise.all(exits), [0, 0]);
});
