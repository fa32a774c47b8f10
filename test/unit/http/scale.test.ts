import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ENDPOINTS } from '../../../src/http/endpoints.ts';
import { probeRoutes } from '../../../src/http/probes.ts';
import { type ReadScale, scaleRoutes } from '../../../src/http/scale.ts';
import { type HttpServer, serveHttp } from '../../../src/http/server.ts';
import { ERROR_CODES, TidemillError } from '../../../src/runtime/errors.ts';
import { checkQueueName } from '../../../src/task/names.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

const serve = (read: ReadScale): Promise<HttpServer> =>
  serveHttp({ host: '127.0.0.1', port: 0, routes: scaleRoutes(read) });

/** A queue with work; tells the look-ahead that it was asked for. */
function busy(asked: number[] = []): ReadScale {
  return async (queue, lookAheadMs) => {
    checkQueueName(queue);
    asked.push(lookAheadMs);
    return { queue, waiting: 4, running: 2, delayedSoon: 1, oldestAgeMs: 1_500 };
  };
}

async function errorOf(response: Response): Promise<{ status: number; code?: string; message: string }> {
  const { error } = (await response.json()) as { error: { status: number; code?: string; message: string } };
  assert.equal(error.status, response.status);
  return error;
}

describe('the scale endpoint', () => {
  test('tells waiting, running and soon due runs, their sum, and the age of the oldest', async () => {
    await using server = await serve(busy());
    const response = await fetch(`${server.url}/scale/reports`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    assert.deepEqual(await response.json(), {
      ...{ queue: 'reports', backlog: 7, waiting: 4, running: 2, delayedSoon: 1 },
      oldestAgeSeconds: 1.5,
    });
  });

  test('looks 30 s ahead, or as far as it is told', async () => {
    const asked: number[] = [];
    await using server = await serve(busy(asked));
    for (const query of ['', '?lookAheadSeconds=0', '?lookAheadSeconds=600&x=y', '?x=y'])
      assert.equal((await fetch(`${server.url}/scale/reports${query}`)).status, 200);
    assert.deepEqual(asked, [30_000, 0, 600_000, 30_000]);
  });

  test('refuses a look-ahead that is none', async () => {
    const asked: number[] = [];
    await using server = await serve(busy(asked));
    for (const value of ['', '-1', '601', '1e2', '30s', '1.5', 'NaN', '9'.repeat(500)]) {
      const response = await fetch(`${server.url}/scale/reports?lookAheadSeconds=${value}`);
      assert.equal(response.status, 400, value);
      const { code, message } = await errorOf(response);
      assert.equal(code, 'QUERY_INVALID');
      assert.match(message, /lookAheadSeconds must be a whole number from 0 to 600/);
      assert.ok(message.length < 200);
    }
    assert.deepEqual(asked, []);
  });

  test('refuses names that no queue can have, and paths that name none', async () => {
    await using server = await serve(busy());
    for (const name of ['Reports', 'a_b', '-a', 'a%20b', 'a%2Fb', '{queue}', '__proto__', 'x'.repeat(64)]) {
      const response = await fetch(`${server.url}/scale/${name}`);
      assert.equal(response.status, 400, name);
      assert.equal((await errorOf(response)).code, 'QUEUE_NAME_INVALID');
    }
    for (const path of ['/scale', '/scale/', '/scale/a/b', '//scale/a'])
      assert.equal((await fetch(`${server.url}${path}`)).status, 404, path);
  });

  test('answers 503 with the code when Redis does not, and 500 without details for a defect', async () => {
    const away = new TidemillError('BROKER_UNAVAILABLE', 'stats: no answer from Redis');
    await using server = await serve(() => Promise.reject(away));
    const response = await fetch(`${server.url}/scale/reports`);
    assert.equal(response.status, 503);
    assert.deepEqual(await errorOf(response), {
      ...{ status: 503, title: 'Service Unavailable', code: 'BROKER_UNAVAILABLE' },
      message: 'stats: no answer from Redis',
    });
    await using broken = await serve(() => Promise.reject(new Error('secret')));
    const failed = await fetch(`${broken.url}/scale/reports`);
    assert.equal(failed.status, 500);
    assert.doesNotMatch(await failed.text(), /secret/);
  });

  test('serves GET and HEAD only', async () => {
    await using server = await serve(busy());
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const response = await fetch(`${server.url}/scale/reports`, { method });
      assert.equal(response.status, 405);
      assert.equal(response.headers.get('allow'), 'GET, HEAD');
    }
    const head = await fetch(`${server.url}/scale/reports`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
  });
});

test('the documented endpoints are those that are served, and their codes exist', () => {
  const probes = probeRoutes({ live: () => [], ready: () => [], metrics: new Metrics() });
  const served = Object.keys({ ...probes, ...scaleRoutes(busy()) });
  assert.deepEqual(Object.keys(ENDPOINTS), served);
  for (const code of ['QUEUE_NAME_INVALID', 'QUERY_INVALID', 'BROKER_UNAVAILABLE'])
    assert.ok(code in ERROR_CODES);
});
