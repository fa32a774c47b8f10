/** How a consumer process ends when its tasks do not let go. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tidemill } from '../../support/fake-io.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';

const SOURCES = join(import.meta.dirname, '../../../src/index.ts');
/** Bodies that ignore their signal and keep the event loop busy for ever. */
const TASKS = `
import { defineTask } from ${JSON.stringify(SOURCES)};
const forEver = ({ log }) => {
  log.info('begun');
  return new Promise(() => setInterval(() => undefined, 1_000));
};
export const deaf = defineTask({ name: 'deaf', timeout: '100ms', run: forEver });
export const patient = defineTask({ name: 'patient', run: forEver });
`;

let redis: RedisServer;
let folder: string;

before(async () => {
  redis = await RedisServer.start();
  folder = mkdtempSync(join(tmpdir(), 'tidemill-consumer-'));
  writeFileSync(join(folder, 'tasks.ts'), TASKS);
});

after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await redis[Symbol.asyncDispose]();
});

/** A consumer with two slots that both execute `task`. */
async function busyConsumer(task: string): Promise<TidemillProcess> {
  const environment = { TIDEMILL_REDIS_URL: redis.url, TIDEMILL_HTTP_PORT: '0' };
  const args = [
    '--tasks',
    join(folder, 'tasks.ts'),
    '--queue',
    task,
    '--concurrency',
    '2',
    '--drain',
    '500ms',
  ];
  const consumer = new TidemillProcess(['consumer', '--log-level', 'debug', ...args], environment);
  await consumer.line(/"msg":"consumer started"/);
  for (let nth = 0; nth < 2; nth++) {
    const { code, stderr } = await tidemill(
      ['run', task, '--queue', task, '--tasks', join(folder, 'tasks.ts')],
      { environment: { TIDEMILL_REDIS_URL: redis.url } },
    );
    assert.equal(code, 0, stderr);
  }
  await consumer.line(/"msg":"begun"/);
  return consumer;
}

test('a consumer whose slots have leaked ends with 1, whatever its bodies still hold', async () => {
  await using consumer = await busyConsumer('deaf');
  assert.deepEqual(await consumer.exited, { code: 1, signal: null });
  assert.match(consumer.lines.at(-1) ?? '', /"reason":"leaked-slots".*"msg":"consumer stopped"/);
  assert.doesNotMatch(consumer.lines.join('\n'), /schedules in code/, 'there are none to warn of');
});

test('SIGTERM ends a consumer with 0, whatever its bodies still hold', async () => {
  await using consumer = await busyConsumer('patient');
  consumer.signal('SIGTERM');
  assert.deepEqual(await consumer.exited, { code: 0, signal: null });
  assert.match(consumer.lines.at(-1) ?? '', /"reason":"signal".*"msg":"consumer stopped"/);
});
