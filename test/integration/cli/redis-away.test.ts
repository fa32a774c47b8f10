/** What probes and metrics say while Redis stands still, and after. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { tidemill } from '../../support/fake-io.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/cli');
const TASKS = join(FIXTURES, 'tasks.ts');

test('while Redis is frozen a consumer is not ready, stays alive, and its scrape still answers in time', async () => {
  await using redis = await RedisServer.start();
  const flags = ['--lease', '2s', '--heartbeat', '500ms'];
  await using consumer = new TidemillProcess([
    'consumer',
    ...flags,
    '--tasks',
    TASKS,
    '--redis',
    redis.url,
    '--http-port',
    '0',
  ]);
  const started = JSON.parse(await consumer.line(/"msg":"consumer started"/)) as { http: string };
  const http = started.http.replace('0.0.0.0', '127.0.0.1');
  const status = async (path: string): Promise<number> => (await fetch(http + path)).status;
  await until('it is ready', async () => (await status('/readyz')) === 200);

  // A run ends while Redis is away, so that a settlement waits for its answer.
  await tidemill(['run', 'wait', '-p', 'ms=1500', '--redis', redis.url]);
  await until('it runs', async () =>
    /^tidemill_runs_active\{.*\} 1$/m.test(await (await fetch(`${http}/metrics`)).text()),
  );
  redis.freeze();
  const frozenAtMs = performance.now();
  await until('it is not ready', async () => (await status('/readyz')) === 503);
  await until('more than two leases have passed', async () => {
    assert.equal(await status('/healthz'), 200, 'a restart would not bring Redis back');
    return performance.now() - frozenAtMs > 8_000;
  });
  const scrapedAtMs = performance.now();
  const text = await (await fetch(`${http}/metrics`)).text();
  assert.ok(performance.now() - scrapedAtMs < 8_000);
  assert.match(text, /^tidemill_redis_up 0$/m);
  redis.thaw();
  await until('it is ready again', async () => (await status('/readyz')) === 200);
  await until('the metrics say so', async () => {
    const again = await (await fetch(`${http}/metrics`)).text();
    return /^tidemill_redis_up 1$/m.test(again) && /^tidemill_redis_reconnects_total [1-9]/m.test(again);
  });
  consumer.signal('SIGTERM');
  assert.deepEqual(await consumer.exited, { code: 0, signal: null });
});

test('while Redis is frozen a scheduler tells of no queue, to Prometheus and to autoscalers, and of all again after', async () => {
  await using redis = await RedisServer.start();
  await using scheduler = new TidemillProcess([
    ...['scheduler', join(FIXTURES, 'schedules'), '--redis', redis.url],
    ...['--http-host', '127.0.0.1', '--http-port', '0'],
  ]);
  const { http } = JSON.parse(await scheduler.line(/"msg":"scheduler started"/)) as { http: string };
  const scrape = async (): Promise<string> => (await fetch(`${http}/metrics`)).text();
  const scale = (): Promise<Response> => fetch(`${http}/scale/default`);
  await until('it tells of the queue', async () => /^tidemill_queue_depth\{/m.test(await scrape()));
  await until('an autoscaler is answered', async () => (await scale()).status === 200);

  redis.freeze();
  await until('the loss is known', async () => /^tidemill_redis_up 0$/m.test(await scrape()));
  const text = await scrape();
  assert.match(text, /^tidemill_collector_up\{collector="queues"\} 0$/m);
  assert.doesNotMatch(text, /^tidemill_queue_depth\{/m, 'an old depth must not look like a new one');
  assert.doesNotMatch(text, /^tidemill_redis_memory_used_bytes/m);
  const refused = await scale();
  assert.equal(refused.status, 503);
  assert.match(await refused.text(), /"code":"BROKER_UNAVAILABLE"/);

  redis.thaw();
  await until('it tells of the queue again', async () => /^tidemill_queue_depth\{/m.test(await scrape()));
  await until('an autoscaler is answered again', async () => (await scale()).status === 200);
});
