import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readRedisUrl } from '../../../src/cli/redis-url.ts';
import { tidemill } from '../../support/fake-io.ts';

const REDIS = 'redis://localhost:6379';

describe('redis url', () => {
  const good = [
    'redis://localhost',
    'redis://localhost:6379/',
    'redis://localhost:6379/3',
    'rediss://user:p%40ss%2Fw%23rd%25@example.org:6380/0',
    'redis://:secret@10.0.0.1',
    'redis://[::1]:6379',
  ];
  for (const url of good) test(`${url} is taken as it is`, () => assert.equal(readRedisUrl(url), url));

  const bad = [
    '',
    'redis://',
    'localhost:6379',
    'http://localhost:6379',
    'redis://localhost:0',
    'redis://localhost:70000',
    'redis://localhost:6379/db',
    'redis://localhost/99999999',
    'redis://localhost/1/2',
    'redis://user:pa#ss@host',
    'redis://user:pa/ss@host',
    'redis://user:pa?ss@host',
    'redis://user:50%@host',
    'redis://host name',
  ];
  for (const url of bad)
    test(`${JSON.stringify(url)} is refused`, () => assert.equal(readRedisUrl(url), undefined));
});

interface Case {
  readonly title: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly says: readonly RegExp[];
}

describe('settings that are wrong', () => {
  const cases: readonly Case[] = [
    {
      title: 'no Redis',
      args: ['--tasks', 'x'],
      says: [
        /--redis: is required: give --redis <url> or set TIDEMILL_REDIS_URL \(or TIDEMILL_REDIS_URL_FILE/,
      ],
    },
    { title: 'no tasks', args: ['--redis', REDIS], says: [/--tasks: is required/] },
    ...['abc', '0', '-1', '1e9', '1.5', '', '10001'].map((value) => ({
      title: `concurrency ${JSON.stringify(value)}`,
      args: ['--tasks', 'x', '--redis', REDIS, '--concurrency', value],
      says: [/--concurrency: .* must be a whole number from 1 to 10000/],
    })),
    ...['70000', '-1', 'http'].map((value) => ({
      title: `port ${value}`,
      args: ['--tasks', 'x', '--redis', REDIS, '--http-port', value],
      says: [/--http-port: .* must be a whole number from 0 to 65535/],
    })),
    {
      title: 'a heartbeat longer than half of the lease',
      args: ['--tasks', 'x', '--redis', REDIS, '--lease', '4s', '--heartbeat', '2s1ms'],
      says: [/--heartbeat: 2s1ms must be at most half of --lease \(4s\)/],
    },
    {
      title: 'Sentinel and Cluster together',
      args: [
        '--tasks',
        'x',
        '--redis',
        REDIS,
        '--redis-sentinels',
        'a:26379,b:26379',
        '--redis-sentinel-name',
        'm',
        '--redis-cluster',
        'true',
      ],
      says: [/--redis-sentinels: cannot be set together with --redis-cluster/],
    },
    {
      title: 'sentinels without the name of the master',
      args: ['--tasks', 'x', '--redis', REDIS, '--redis-sentinels', 'a:26379'],
      says: [/--redis-sentinels: needs --redis-sentinel-name/],
    },
    {
      title: 'an authority without TLS',
      args: ['--tasks', 'x', '--redis', REDIS, '--redis-ca', '/ca.pem'],
      says: [/--redis-ca: needs a rediss:\/\/ URL/],
    },
    {
      title: 'a variable that is not known',
      args: ['--tasks', 'x', '--redis', REDIS],
      environment: { TIDEMILL_CONCURENCY: '5' },
      says: [/TIDEMILL_CONCURENCY: no such setting \(did you mean TIDEMILL_CONCURRENCY/],
    },
    {
      title: 'a secret file that cannot be read',
      args: ['--tasks', 'x'],
      environment: { TIDEMILL_REDIS_URL_FILE: '/does/not/exist' },
      says: [/TIDEMILL_REDIS_URL_FILE: the file "\/does\/not\/exist" cannot be read/],
    },
    {
      title: 'many at once',
      args: ['--queue', 'A,b', '--lease', '10'],
      environment: { TIDEMILL_LOG_LEVEL: 'loud', TIDEMILL_REDIS_URL: 'http://x', TIDEMILL_PREFIX: 'A B' },
      says: [
        /--tasks: is required/,
        /--queue: "A,b"/,
        /--lease: "10" must be a duration/,
        /TIDEMILL_LOG_LEVEL: "loud"/,
        /TIDEMILL_REDIS_URL: what was given/,
        /TIDEMILL_PREFIX/,
      ],
    },
  ];
  for (const { title, args = [], environment = {}, says } of cases) {
    test(`${title}: exit code 78, everything named on stderr`, async () => {
      const { code, stdout, stderr } = await tidemill(['consumer', ...args], { environment });
      assert.equal(code, 78, stderr);
      assert.equal(stdout, '');
      for (const pattern of says) assert.match(stderr, pattern);
    });
  }

  test('with --json the problems are one JSON line', async () => {
    const { code, stderr } = await tidemill(['consumer', '--json', '--concurrency', '0']);
    assert.equal(code, 78);
    const { error } = JSON.parse(stderr) as { error: { code: string; problems: { at: string }[] } };
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.deepEqual(error.problems.map(({ at }) => at).sort(), ['--concurrency', '--redis', '--tasks']);
  });

  test('no message repeats a password', async () => {
    const { stderr } = await tidemill([
      'consumer',
      '--redis',
      'redis://u:hunter2#@host',
      '--redis-password',
      '',
    ]);
    assert.doesNotMatch(stderr, /hunter2/);
  });
});
