/** Addresses of Redis: what is understood, what is refused, and what a message may show of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeAddress, reconnectDelayMs } from '../../../../src/broker/redis/client.ts';
import {
  decodeManifestHash,
  encodeManifestHash,
  laneName,
  parseLane,
  checkPrefix,
} from '../../../../src/broker/redis/keys.ts';
import { toBrokerError } from '../../../../src/broker/redis/reply-errors.ts';

test('an address is described without its password', () => {
  assert.equal(describeAddress({ url: 'redis://localhost' }), 'redis://localhost:6379/0 prefix tidemill');
  assert.equal(
    describeAddress({ url: 'rediss://me:secret@[::1]:7000/2', prefix: 'p' }),
    'rediss://me:***@::1:7000/2 prefix p',
  );
  assert.equal(
    describeAddress({
      url: 'redis://:secret@ignored',
      sentinels: { name: 'main', nodes: ['a:1', 'b:2'], password: 'secret' },
    }),
    'redis://:***@main(a:1,b:2)/0 prefix tidemill',
  );
});

test('a bad URL is refused without repeating it', () => {
  for (const url of ['', 'localhost:6379', 'http://:secret@host', 'redis://:secret@host/x', 'redis://']) {
    assert.throws(
      () => describeAddress({ url }),
      (error: { code: string; message: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  }
});

test('a prefix that would break the hash tag is refused', () => {
  assert.equal(checkPrefix('team-a:tidemill'), 'team-a:tidemill');
  for (const prefix of ['', '{x}', 'a b', 'x'.repeat(65)])
    assert.throws(() => checkPrefix(prefix), { code: 'CONFIG_INVALID' });
});

test('reconnecting is quick at first and never slower than a second', () => {
  for (let attempt = 1; attempt < 100; attempt += 1) assert.ok(reconnectDelayMs(attempt) <= 1_000);
  assert.ok(reconnectDelayMs(1) <= 50);
});

test('lanes and manifest hashes are read back from keys as they were', () => {
  assert.deepEqual(parseLane(laneName('a.b-c', 'low')), { task: 'a.b-c', priority: 'low' });
  for (const name of ['', 'm', 'm:', 'x:job', 's:job', 'job']) assert.equal(parseLane(name), undefined);
  const hash = '{"a b"};%3b\n';
  assert.equal(decodeManifestHash(encodeManifestHash(hash)), hash);
  assert.doesNotMatch(encodeManifestHash(hash), /[;{}\s]/);
});

test('error replies are sorted by whether anything happened', () => {
  const codeFor = (message: string) =>
    toBrokerError(Object.assign(new Error(message), { name: 'ReplyError' }), 'call').code;
  assert.equal(codeFor('OOM command not allowed'), 'BROKER_REFUSED');
  assert.equal(codeFor('NOPERM this user has no permissions'), 'BROKER_REFUSED');
  assert.equal(codeFor('LOADING Redis is loading the dataset in memory'), 'BROKER_UNAVAILABLE');
  assert.equal(codeFor('READONLY You can’t write against a read only replica.'), 'BROKER_UNAVAILABLE');
  assert.equal(codeFor('TIDEMILL_FORMAT the queue has format 2'), 'BROKER_FORMAT');
  assert.equal(toBrokerError(new Error('Connection is closed.'), 'call').code, 'BROKER_UNAVAILABLE');
});
