import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { probeRoutes } from '../../../src/http/probes.ts';
import { type HttpServer, serveHttp } from '../../../src/http/server.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

interface Health {
  live: string[];
  ready: string[];
}

async function start(health: Health = { live: [], ready: [] }, timeouts = {}): Promise<HttpServer> {
  const probes = probeRoutes({ live: () => health.live, ready: () => health.ready, metrics: new Metrics() });
  const broken = (): never => {
    throw new Error('secret detail');
  };
  return serveHttp({ host: '127.0.0.1', port: 0, routes: { ...probes, '/broken': broken }, ...timeouts });
}

/** Sends bytes as they are and resolves with all that came back until the connection was closed. */
function raw(server: HttpServer, bytes: string | Buffer, onOpen?: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(bytes);
      onOpen?.(socket);
    });
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (received += text));
    socket.on('error', () => undefined); // a reset is an answer, too
    socket.on('close', () => resolve(received));
  });
}

async function errorOf(response: Response): Promise<{ status: number; title: string; message: string }> {
  return ((await response.json()) as { error: { status: number; title: string; message: string } }).error;
}

describe('probes', () => {
  test('healthz and readyz answer 200, or 503 with the reasons', async () => {
    const health: Health = { live: [], ready: [] };
    await using server = await start(health);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
    health.ready.push('redis does not answer');
    const response = await fetch(`${server.url}/readyz`);
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { status: 'failing', reasons: ['redis does not answer'] });
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200, 'readiness is not liveness');
  });

  test('metrics come as Prometheus text', async () => {
    await using server = await start();
    const response = await fetch(`${server.url}/metrics?x=1`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    assert.match(await response.text(), /^process_cpu_seconds_total /m);
  });
});

describe('http server', () => {
  test('HEAD has the headers of GET and no body', async () => {
    await using server = await start();
    const answer = await raw(server, 'HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /content-length: 16\r\n/);
    assert.ok(answer.endsWith('\r\n\r\n'));
  });

  test('unknown paths, also tricky ones, get a 404 in JSON that names the known ones', async () => {
    await using server = await start();
    for (const path of [
      '/',
      '/nope',
      '/healthz/',
      '/..%2fhealthz',
      '//healthz',
      '/constructor',
      '/__proto__',
      '/<script>',
    ]) {
      const response = await fetch(server.url + path);
      assert.equal(response.status, 404, path);
      assert.match(response.headers.get('content-type') ?? '', /json/);
      assert.match((await errorOf(response)).message, /\/healthz, \/readyz, \/metrics/);
    }
  });

  test('other methods get a 405 that names the allowed ones', async () => {
    await using server = await start();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const response = await fetch(`${server.url}/metrics`, { method });
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get('allow'), 'GET, HEAD');
    }
  });

  test('a big body is refused without being read, and the server goes on', async () => {
    await using server = await start();
    const answer = await raw(
      server,
      `POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n${'x'.repeat(10_000)}`,
    );
    assert.match(answer, /^HTTP\/1\.1 405 /);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  });

  test('a failing handler answers 500 in JSON and shows nothing of the error', async () => {
    await using server = await start();
    const response = await fetch(`${server.url}/broken`);
    assert.equal(response.status, 500);
    const body = await response.text();
    assert.doesNotMatch(body, /secret detail|at /);
  });

  test('headers above 8 KiB get a 431', async () => {
    await using server = await start();
    const answer = await raw(
      server,
      `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(20_000)}\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 431 [^]*"status":431/);
  });

  test('headers that never end get a 408', async () => {
    await using server = await start(undefined, { headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const answer = await raw(server, 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    assert.match(answer, /^HTTP\/1\.1 408 [^]*"status":408/);
  });

  test('a connection that says nothing is closed', async () => {
    await using server = await start(undefined, { headersTimeoutMs: 100, requestTimeoutMs: 200 });
    assert.match(await raw(server, ''), /^HTTP\/1\.1 408 |^$/);
  });

  test('a request without Host gets a 400 in HTTP/1.1 and an answer in HTTP/1.0', async () => {
    await using server = await start();
    assert.match(
      await raw(server, 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 400 [^]*"status":400/,
    );
    assert.match(await raw(server, 'GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
  });

  test('garbage is answered with 400 or closed, and the next request is served', async () => {
    await using server = await start();
    const garbage = [
      '\0\0\0\0\r\n\r\n',
      'GET\r\n\r\n',
      'GET /healthz HTTP/9.9\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'GET /healthz HTTP/1.1\r\nHost: x\r\nBad\rHeader: y\r\n\r\n',
      'GET /healthz\r\nX: y HTTP/1.1\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\u0016\u0003\u0001\u0002\u0000',
      'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n',
    ];
    for (const bytes of garbage) {
      // Half-closing tells the server that no more will come.
      const answer = await raw(server, bytes, (socket) => socket.end());
      assert.doesNotMatch(answer, /^HTTP\/1\.1 5|\bat .*\.ts/, JSON.stringify(bytes));
    }
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  });

  test('random bytes do not stop it', async () => {
    await using server = await start();
    let seed = 1;
    const next = (): number => (seed = (seed * 48_271) % 2_147_483_647);
    for (let i = 0; i < 200; i++) {
      const bytes = Buffer.from(Array.from({ length: next() % 200 }, () => next() % 256));
      await raw(server, bytes, (socket) => socket.end());
    }
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  });

  test('a port in use is a configuration error that says what to do', async () => {
    await using server = await start();
    await assert.rejects(serveHttp({ host: '127.0.0.1', port: server.port, routes: {} }), {
      code: 'CONFIG_INVALID',
      message: /127\.0\.0\.1:\d+ is already in use: choose another port/,
    });
  });

  test('closing twice is harmless, and frees the port', async () => {
    const server = await start();
    await fetch(`${server.url}/healthz`);
    await server[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await using again = await serveHttp({ host: '127.0.0.1', port: server.port, routes: {} });
    assert.equal(again.port, server.port);
  });

  test('a probe is answered although a thousand idle connections are open', async () => {
    await using server = await start();
    const open = await Promise.all(
      Array.from(
        { length: 1_000 },
        () =>
          new Promise<Socket>((resolve) => {
            const socket = connect(server.port, '127.0.0.1', () => resolve(socket));
            socket.on('error', () => undefined);
          }),
      ),
    );
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
    for (const socket of open) socket.destroy();
  });

  test('closing does not wait for an idle connection', async () => {
    const server = await start();
    const closed = raw(server, '');
    await server[Symbol.asyncDispose]();
    assert.equal(await closed, '');
  });
});
