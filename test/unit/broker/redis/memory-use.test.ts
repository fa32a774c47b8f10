import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fullest, parseMemory } from '../../../../src/broker/redis/memory-use.ts';
import { refusalReason, toBrokerError } from '../../../../src/broker/redis/reply-errors.ts';
import { TidemillError } from '../../../../src/runtime/errors.ts';

describe('memory of Redis', () => {
  test('is read from the memory section of INFO', () => {
    const info =
      '# Memory\r\nused_memory:1500\r\nused_memory_human:1.46K\r\nmaxmemory:3000\r\nmaxmemory_policy:noeviction\r\n';
    assert.deepEqual(parseMemory(info), { usedBytes: 1_500, maxBytes: 3_000 });
    assert.equal(parseMemory('# Memory\r\n'), undefined);
    assert.equal(parseMemory(''), undefined);
  });

  test('of a cluster is that of the master with the least room', () => {
    const roomy = { usedBytes: 900, maxBytes: 9_000 };
    const tight = { usedBytes: 80, maxBytes: 100 };
    const unlimited = { usedBytes: 99_999, maxBytes: 0 };
    assert.equal(fullest([roomy, unlimited, tight]), tight);
    assert.equal(fullest([unlimited, roomy]), roomy);
    assert.equal(fullest([unlimited, { usedBytes: 1, maxBytes: 0 }]), unlimited);
    assert.equal(fullest([]), undefined);
  });
});

describe('an error of Redis', () => {
  const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' });
  const cases: Readonly<Record<string, string | undefined>> = {
    "OOM command not allowed when used memory > 'maxmemory'.": 'memory',
    'MISCONF Redis is configured to save RDB snapshots': 'disk',
    "NOPERM this user has no permissions to run the 'evalsha' command": 'rights',
    'WRONGPASS invalid username-password pair': 'rights',
    'WRONGTYPE Operation against a key': 'other',
    'LOADING Redis is loading the dataset in memory': undefined,
  };
  for (const [message, reason] of Object.entries(cases)) {
    test(`that begins with ${message.split(' ', 1)[0]} is a refusal for ${String(reason)}`, () => {
      assert.equal(refusalReason(toBrokerError(reply(message), 'fire')), reason);
    });
  }

  test('that is none of Redis is no refusal', () => {
    assert.equal(refusalReason(toBrokerError(new Error('ECONNRESET'), 'fire')), undefined);
    assert.equal(refusalReason(new TidemillError('INTERNAL', 'x')), undefined);
    assert.equal(refusalReason('x'), undefined);
  });
});
