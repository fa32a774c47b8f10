/** TLS: the right authority opens the door, a wrong one keeps it shut, and the message says why. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { createClient } from '../../../src/broker/redis/client.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { freePort, RedisServer } from '../../support/redis-server.ts';
import { claim, register, request } from './work.ts';

const directory = mkdtempSync(join(tmpdir(), 'tidemill-tls-'));
const file = (name: string): string => join(directory, name);
const openssl = (...words: readonly string[]): void => void execFileSync('openssl', words, { stdio: 'pipe' });
const newKey = (name: string): readonly string[] => [
  ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file(`${name}.key`)],
];

/** A certificate of authority that signs for itself. */
function makeAuthority(name: string): string {
  openssl('req', '-x509', ...newKey(name), '-days', '2', '-subj', `/CN=${name}`, '-out', file(`${name}.pem`));
  return readFileSync(file(`${name}.pem`), 'utf8');
}

let server: RedisServer;
let url: string;
let rightCa: string;
let wrongCa: string;

before(async () => {
  rightCa = makeAuthority('right');
  wrongCa = makeAuthority('wrong');
  openssl('req', ...newKey('server'), '-subj', '/CN=server', '-out', file('server.csr'));
  writeFileSync(file('names.cnf'), 'subjectAltName=IP:127.0.0.1');
  openssl(
    ...['x509', '-req', '-in', file('server.csr'), '-days', '2', '-extfile', file('names.cnf')],
    ...['-CA', file('right.pem'), '-CAkey', file('right.key'), '-CAcreateserial', '-out', file('server.pem')],
  );
  const port = await freePort();
  server = await RedisServer.start({
    settings: [
      ...[
        '--tls-port',
        String(port),
        '--tls-cert-file',
        file('server.pem'),
        '--tls-key-file',
        file('server.key'),
      ],
      ...['--tls-ca-cert-file', file('right.pem'), '--tls-auth-clients', 'no'],
    ],
  });
  url = `rediss://127.0.0.1:${port}`;
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test('with the right authority runs are enqueued, waited for and woken for over TLS', async () => {
  await using broker = await connectRedis({ url, tlsCa: rightCa });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const { wakeCursor } = await queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 1, cpu: 0 } });
  const startMs = performance.now();
  const woken = queue.work.waitForWork(wakeCursor, 5_000, new AbortController().signal);
  assert.deepEqual(await queue.runs.enqueue([request('a')]), ['enqueued']);
  await woken;
  assert.ok(performance.now() - startMs < 4_000, 'it was woken, and did not wait to the end');
  assert.equal((await claim(queue, 'one')).length, 1);
});

test('with a wrong authority, and with none, the connection fails closed and says that the certificate is why', async () => {
  for (const [what, more] of Object.entries({ wrong: { tlsCa: wrongCa }, none: {} })) {
    await assert.rejects(connectRedis({ url, ...more }), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'BROKER_UNAVAILABLE', what);
      assert.match(error.message, /certificate/, what);
      return true;
    });
  }
});

test('a socket that fails twice does not end the process', async () => {
  const client = createClient({ url, tlsCa: rightCa }, 'calls');
  assert.ok(client instanceof Redis);
  await once(client, 'ready');
  const { stream } = client;
  for (const error of ['the certificate', 'the alert']) stream.emit('error', new Error(error));
  const listeners = stream.listenerCount('error');
  for (let attempt = 0; attempt < 20; attempt += 1) client.emit('error', new Error('no sentinel answers'));
  assert.equal(stream.listenerCount('error'), listeners, 'a long absence adds nothing');
  stream.destroy();
  await once(client, 'ready');
  assert.notEqual(client.stream, stream);
  client.disconnect();
});

test('a certificate for another name is refused, though its authority is right', async () => {
  const elsewhere = url.replace('127.0.0.1', 'localhost');
  await assert.rejects(
    connectRedis({ url: elsewhere, tlsCa: rightCa }),
    (error: { code: string; message: string }) => {
      assert.equal(error.code, 'BROKER_UNAVAILABLE');
      assert.match(error.message, /altnames|localhost/i);
      return true;
    },
  );
});
