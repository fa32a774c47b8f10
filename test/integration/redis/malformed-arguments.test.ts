/** Calls that no client of ours makes: a script says which part is wrong, and changes nothing. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { queueKeys } from '../../../src/broker/redis/keys.ts';
import { scriptSource, type ScriptName } from '../../../src/broker/redis/scripts.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { adopt, UID } from '../../contract/schedule-steps.ts';
import { register } from './work.ts';

const BATCH = ['producer', '0', '1'];
const PREAMBLE = 'm:job;;\n{}\n';
const GROUP = ['after', '0', '', PREAMBLE, 'a b', '{}\n{}\n'];
const FIRE = [UID, '1', 'A', '', 'm:job', '{}', '', '{}', ''];

/** The group with one of its words replaced. */
const groupWith = (place: number, word: string): string[] => [...BATCH, ...GROUP.with(place, word)];

const CASES: readonly (readonly [what: string, script: ScriptName, args: readonly string[], says: RegExp])[] =
  [
    ['a run without params', 'enqueue', groupWith(5, '{}\n'), /a run has no params/],
    ['params without a run', 'enqueue', groupWith(5, '{}\n{}\n{}\n'), /more params than ids/],
    [
      'params without a run that waits',
      'enqueue',
      [...BATCH, 'after', '5000', '', PREAMBLE, 'a', '{}\n{}\n'],
      /more params than ids/,
    ],
    ['a time that is no number', 'enqueue', groupWith(1, 'soon'), /a group of runs is malformed/],
    ['a preamble that goes on', 'enqueue', groupWith(3, `${PREAMBLE}more\n`), /a group of runs is malformed/],
    ['a lane that is none', 'enqueue', groupWith(3, 'x:job;;\n{}\n'), /the body of a run is malformed/],
    [
      'a group that is cut short',
      'enqueue',
      [...BATCH, ...GROUP.slice(0, 5)],
      /a group of runs is malformed/,
    ],
    ['a settlement of an unknown kind', 'cycle', ['holder', '', '', '1', 'z', '1', 'a'], /a settle group/],
    ['settlements without a count', 'cycle', ['holder', '', '', '1', 's', 'many'], /a settle group/],
    ['a slot without its text', 'fire', [...FIRE, '1', 's;1000;0;;'], /a slot is malformed/],
    ['a slot whose time is no number', 'fire', [...FIRE, '1', 's;soon;0;;;text'], /a slot is malformed/],
    ['a range without an end', 'fire', [...FIRE, '1', 'm;1000;'], /a missed range is malformed/],
    ['fewer entries than were said', 'fire', [...FIRE, '2', 'm;1;1;1;1;Late'], /cut short/],
    ['a schedule that is cut short', 'fire', FIRE.slice(0, 4), /cut short/],
  ];

describe('a script that is called wrongly', () => {
  let server: RedisServer;
  let redis: Redis;
  before(async () => {
    server = await RedisServer.start();
    redis = new Redis(server.port, '127.0.0.1');
    await using broker = await connectRedis({ url: server.url });
    const queue = broker.queue('work');
    await register(queue, 'holder');
    await adopt(queue);
  });
  after(async () => {
    redis.disconnect();
    await server[Symbol.asyncDispose]();
  });

  /** Everything that is stored, but the lease, which any call of its holder renews. */
  const contents = async (): Promise<string> => {
    const keys = (await redis.keys('*')).toSorted();
    return JSON.stringify(await Promise.all(keys.map(async (key) => [key, await redis.dumpBuffer(key)])));
  };

  for (const [what, script, args, says] of CASES)
    test(`${script}: ${what}`, async () => {
      const { meta } = queueKeys('tidemill', 'work');
      const earlier = await contents();
      await assert.rejects(redis.eval(scriptSource(script), 1, meta, ...args), (error) => {
        assert.match(String(error), /TIDEMILL_ARGUMENT/);
        assert.match(String(error), says);
        return true;
      });
      assert.equal(await contents(), earlier);
    });

  test('enqueue: the same group unharmed makes its runs', async () => {
    const { meta } = queueKeys('tidemill', 'work');
    assert.equal(await redis.eval(scriptSource('enqueue'), 1, meta, ...BATCH, ...GROUP), 'ee');
  });
});
