/** Requests that are wrong or hostile, byte for byte: each gets its status and a JSON error, and the next request is served. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { probeRoutes } from '../../src/http/probes.ts';
import { scaleRoutes } from '../../src/http/scale.ts';
import { type HttpServer, serveHttp } from '../../src/http/server.ts';
import { checkQueueName } from '../../src/task/names.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { assertPlain, assertUnpolluted } from './case.ts';

let server: HttpServer;
before(async () => {
  server = await serveHttp({
    host: '127.0.0.1',
    port: 0,
    headersTimeoutMs: 1_000,
    requestTimeoutMs: 1_000,
    routes: {
      ...probeRoutes({ live: () => [], ready: () => [], metrics: new Metrics() }),
      ...scaleRoutes(async (name) => {
        const queue = checkQueueName(name);
        return { queue, waiting: 0, running: 0, delayedSoon: 0, oldestAgeMs: 0 };
      }),
    },
  });
});
after(() => server[Symbol.asyncDispose]());

/** Sends bytes as they are; answers all that came back until the server closed the connection. */
async function exchange(bytes: string | Buffer): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => (received += text));
  socket.on('error', () => undefined); // a reset is an answer, too
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(bytes);
  await closed;
  return received;
}

const ERROR = z.object({
  error: z.object({ status: z.int(), title: z.string(), message: z.string(), code: z.string().optional() }),
});
const HOST = 'Host: x\r\nConnection: close\r\n';
const get = (target: string, headers = HOST): string => `GET ${target} HTTP/1.1\r\n${headers}\r\n`;
const to = (method: string, headers = '', body = ''): string =>
  `${method} /healthz HTTP/1.1\r\n${HOST}${headers}\r\n${body}`;
const scale = (rest: string): string => get(`/scale/${rest}`);
const post = (headers: string, body: string): string => to('POST', headers, body);
const length = (body: string): string => `Content-Length: ${body.length}\r\n`;

const NO_PATH = /^no such path; known are \/healthz, \/readyz, \/metrics, \/scale\/\{queue\}$/;
const NO_METHOD = /^only GET and HEAD are served here$/;
const NO_HTTP = /^this is not an HTTP request$/;
const NO_QUEUE = /^queue ".*" must be a DNS label: /;
const NO_LOOK_AHEAD = /^lookAheadSeconds must be a whole number from 0 to 600, not "/;

/** Bytes, status, and the message of the error. */
const REFUSED: Readonly<Record<string, readonly [bytes: string | Buffer, status: number, message: RegExp]>> =
  {
    'the root': [get('/'), 404, NO_PATH],
    'an unknown path': [get('/nope'), 404, NO_PATH],
    'a path with a slash behind it': [get('/healthz/'), 404, NO_PATH],
    'a path with two slashes': [get('//healthz'), 404, NO_PATH],
    'a path in capitals': [get('/HEALTHZ'), 404, NO_PATH],
    'a path that climbs': [get('/../../etc/passwd'), 404, NO_PATH],
    'a path that climbs in escapes': [get('/..%2f..%2fetc%2fpasswd'), 404, NO_PATH],
    'a path that climbs in double escapes': [get('/%252e%252e/healthz'), 404, NO_PATH],
    'a path with an escaped letter': [get('/%68ealthz'), 404, NO_PATH],
    'a path with NUL in escapes': [get('/healthz%00'), 404, NO_PATH],
    'a path of a script': [get('/<script>alert(1)</script>'), 404, NO_PATH],
    'a path named __proto__': [get('/__proto__'), 404, NO_PATH],
    'a path named constructor': [get('/constructor'), 404, NO_PATH],
    'the pattern of a route': [get('/scale/'), 404, NO_PATH],
    'a path below a queue': [get('/scale/a/b'), 404, NO_PATH],
    'the path of an inspector': [get('/json/list'), 404, NO_PATH],
    'a path of 7,000 characters': [get(`/${'a'.repeat(7_000)}`), 404, NO_PATH],
    'the address of another server': [get('http://169.254.169.254/latest/meta-data'), 404, NO_PATH],
    'an address that is none': [get('http://[/healthz'), 404, NO_PATH],
    'an asterisk': ['OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 404, NO_PATH],
    'the pattern itself as a queue': [scale('{queue}'), 400, NO_QUEUE],
    'a queue in capitals': [scale('Reports'), 400, NO_QUEUE],
    'a queue with an escape': [scale('a%20b'), 400, NO_QUEUE],
    'a queue that climbs': [scale('..'), 400, NO_QUEUE],
    'a queue that climbs in escapes': [scale('..%2fa'), 400, NO_QUEUE],
    'a queue named __proto__': [scale('__proto__'), 400, NO_QUEUE],
    'a queue that breaks out of its tag': [scale('a}{b'), 400, NO_QUEUE],
    'a queue with a line break in escapes': [scale('a%0d%0aSet-Cookie:x=1'), 400, NO_QUEUE],
    'a queue of 64 characters': [scale('q'.repeat(64)), 400, NO_QUEUE],
    'a queue of 7,000 characters': [scale('q'.repeat(7_000)), 400, NO_QUEUE],
    'a queue of a script': [scale('<script>'), 400, NO_QUEUE],
    'a negative look-ahead': [scale('a?lookAheadSeconds=-1'), 400, NO_LOOK_AHEAD],
    'a look-ahead too far': [scale('a?lookAheadSeconds=601'), 400, NO_LOOK_AHEAD],
    'a look-ahead with an exponent': [scale('a?lookAheadSeconds=1e2'), 400, NO_LOOK_AHEAD],
    'half a look-ahead': [scale('a?lookAheadSeconds=0.5'), 400, NO_LOOK_AHEAD],
    'a look-ahead of NaN': [scale('a?lookAheadSeconds=NaN'), 400, NO_LOOK_AHEAD],
    'an empty look-ahead': [scale('a?lookAheadSeconds='), 400, NO_LOOK_AHEAD],
    'a look-ahead of 5,000 digits': [scale(`a?lookAheadSeconds=${'9'.repeat(5_000)}`), 400, NO_LOOK_AHEAD],
    'a look-ahead with text that runs backwards': [scale('a?lookAheadSeconds=%E2%80%AE'), 400, NO_LOOK_AHEAD],
    'a look-ahead with an escape sequence': [scale('a?lookAheadSeconds=%1b[31m%c2%9b'), 400, NO_LOOK_AHEAD],
    'a look-ahead with a line break': [scale('a?lookAheadSeconds=1%0d%0aX:y'), 400, NO_LOOK_AHEAD],
    'a broken escape in the query': [scale('a?lookAheadSeconds=%E0%A4%A'), 400, NO_LOOK_AHEAD],
    POST: [post(length('{}'), '{}'), 405, NO_METHOD],
    'POST of broken JSON': [
      post(`Content-Type: application/json\r\n${length('{"a":')}`, '{"a":'),
      405,
      NO_METHOD,
    ],
    'POST of a form': [post(`Content-Type: text/html\r\n${length('a=1')}`, 'a=1'), 405, NO_METHOD],
    'POST from another site': [
      post('Sec-Fetch-Site: cross-site\r\nOrigin: http://evil\r\n', ''),
      405,
      NO_METHOD,
    ],
    'POST that announces 10 MB': [post('Content-Length: 10000000\r\n', 'x'.repeat(10_000)), 405, NO_METHOD],
    'POST in chunks that are garbage': [post('Transfer-Encoding: chunked\r\n', 'zz\r\n'), 400, NO_HTTP],
    'POST that a header calls a GET': [post('X-HTTP-Method-Override: GET\r\n', ''), 405, NO_METHOD],
    PUT: [to('PUT'), 405, NO_METHOD],
    PATCH: [to('PATCH'), 405, NO_METHOD],
    DELETE: [to('DELETE'), 405, NO_METHOD],
    OPTIONS: [to('OPTIONS'), 405, NO_METHOD],
    TRACE: [to('TRACE'), 405, NO_METHOD],
    PROPFIND: [to('PROPFIND'), 405, NO_METHOD],
    'an unknown method': ['NOPE /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 400, NO_HTTP],
    'a method in small letters': ['get /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 400, NO_HTTP],
    'no Host': [get('/healthz', 'Connection: close\r\n'), 400, /^an HTTP\/1\.1 request needs a Host header$/],
    garbage: ['hello\r\n\r\n', 400, NO_HTTP],
    'binary garbage': [Buffer.from([0, 1, 2, 0xff, 0xfe, 13, 10, 13, 10]), 400, NO_HTTP],
    'the hello of TLS': [Buffer.from('16030100a5010000a10303', 'hex'), 400, NO_HTTP],
    'a command of Redis': ['*1\r\n$4\r\nPING\r\n', 400, NO_HTTP],
    'HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, NO_HTTP],
    'HTTP/9.9': ['GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n', 400, NO_HTTP],
    'a path with a space': ['GET /heal thz HTTP/1.1\r\nHost: x\r\n\r\n', 400, NO_HTTP],
    'a path with NUL': ['GET /heal\0thz HTTP/1.1\r\nHost: x\r\n\r\n', 400, NO_HTTP],
    'a header with NUL': [get('/healthz', 'Host: x\r\nX: a\0b\r\n'), 400, NO_HTTP],
    'a header without a colon': [get('/healthz', 'Host: x\r\nnonsense\r\n'), 400, NO_HTTP],
    'a header with a space in its name': [get('/healthz', 'Host: x\r\nA B: c\r\n'), 400, NO_HTTP],
    'a header that folds': [get('/healthz', 'Host: x\r\n folded\r\n'), 400, NO_HTTP],
    'a bare line feed in a header': [get('/healthz', 'Host: x\r\nA: b\nC: d\r\n'), 400, NO_HTTP],
    'a length of text': [post('Content-Length: abc\r\n', ''), 400, NO_HTTP],
    'a negative length': [post('Content-Length: -1\r\n', ''), 400, NO_HTTP],
    'two lengths': [post('Content-Length: 1\r\nContent-Length: 2\r\n', 'ab'), 400, NO_HTTP],
    'a length and chunks': [
      post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
      400,
      NO_HTTP,
    ],
    'headers of 100 kB': [
      get('/healthz', `Host: x\r\nA: ${'a'.repeat(100_000)}\r\n`),
      431,
      /^headers may have/,
    ],
    '10,000 headers': [
      get('/healthz', `Host: x\r\n${'A: b\r\n'.repeat(10_000)}`),
      431,
      /at most 8192 bytes$/,
    ],
    'a path of 100 kB': [get(`/${'a'.repeat(100_000)}`), 431, /^headers may have at most 8192 bytes$/],
    'headers that never end': ['GET /healthz HTTP/1.1\r\nHost: x\r\n', 408, /took too long to arrive$/],
  };

describe('a request with', () => {
  for (const [what, [bytes, status, message]] of Object.entries(REFUSED)) {
    test(`${what} is answered by ${status}`, async () => {
      const answer = await exchange(bytes);
      const [head = '', body = ''] = answer.split('\r\n\r\n', 2);
      assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(head, /\r\ncontent-type: application\/json/i);
      assert.doesNotMatch(head, /set-cookie|access-control-allow|x-powered-by|\r\nserver:/i);
      const { error } = ERROR.parse(JSON.parse(body));
      assert.equal(error.status, status);
      assert.match(error.message, message);
      assert.doesNotMatch(body, /\.ts|node:|at \w+ \(/, 'no stack, no path of a file');
      assertPlain(error.message);
      assertUnpolluted();
      assert.equal((await fetch(`${server.url}/healthz`)).status, 200, 'the next one is served');
    });
  }
});

/** Strange, and right: the status line. */
const SERVED: Readonly<Record<string, readonly [bytes: string, status: RegExp]>> = {
  'HTTP/1.0 without Host': ['GET /healthz HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 /],
  'an absolute address': [get('http://other.example/healthz'), /^HTTP\/1\.1 200 /],
  'a Host of somebody else': [
    get('/healthz', 'Host: evil.example\r\nConnection: close\r\n'),
    /^HTTP\/1\.1 200 /,
  ],
  'a query that nobody asked for': [get('/healthz?__proto__[polluted]=1'), /^HTTP\/1\.1 200 /],
  'a body that nobody reads': [
    'GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nabc',
    /^HTTP\/1\.1 200 /,
  ],
  'a look-ahead of 600': [scale('a?lookAheadSeconds=600'), /^HTTP\/1\.1 200 /],
};
describe('a request with', () => {
  for (const [what, [bytes, status]] of Object.entries(SERVED)) {
    test(`${what} is served`, async () => {
      assert.match(await exchange(bytes), status);
      assertUnpolluted();
    });
  }

  test('HEAD has the status and no body', async () => {
    const answer = await exchange(to('HEAD'));
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.ok(answer.endsWith('\r\n\r\n'));
  });
});

test('1,000 idle connections do not keep a probe out', async () => {
  const idle: Socket[] = [];
  try {
    for (let at = 0; at < 1_000; at += 1) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      idle.push(socket);
      await once(socket, 'connect');
    }
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  } finally {
    for (const socket of idle) socket.destroy();
  }
});
