import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { createLog, type Log, type LogLevel, silentLog } from '../../../src/telemetry/log.ts';

function capture(level: LogLevel = 'debug'): {
  log: Log;
  lines: string[];
  last: () => Record<string, unknown>;
} {
  const lines: string[] = [];
  const log = createLog({
    level,
    destination: { write: (line) => lines.push(line) },
    clock: { now: () => 1_700_000_000_000 },
  });
  return {
    log,
    lines,
    last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown>,
  };
}

describe('log', () => {
  test('a line is one JSON object with level, ISO time, message and fields', () => {
    const { log, lines, last } = capture();
    log.info('run finished', { task: 'fetch-data', durationMs: 12 });
    assert.equal(lines.length, 1);
    assert.ok(lines[0]!.endsWith('\n'));
    assert.deepEqual(last(), {
      level: 'info',
      time: '2023-11-14T22:13:20.000Z',
      task: 'fetch-data',
      durationMs: 12,
      msg: 'run finished',
    });
  });

  test('lines below the level are not written', () => {
    const { log, lines } = capture('warn');
    log.info('quiet');
    log.warn('loud');
    assert.equal(lines.length, 1);
  });

  test('an error is written with its code and its chain of causes', () => {
    const { log, last } = capture();
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    log.error('cannot reach redis', { err: new TidemillError('BROKER_UNAVAILABLE', 'no answer', { cause }) });
    const err = last()['err'] as { code: string; message: string; stack: string; cause: { code: string } };
    assert.equal(err.code, 'BROKER_UNAVAILABLE');
    assert.equal(err.message, 'no answer');
    assert.match(err.stack, /log\.test/);
    assert.equal(err.cause.code, 'ECONNREFUSED');
  });

  test('an error that is its own cause ends the chain', () => {
    const { log, last } = capture();
    const loop: Error = new Error('loop');
    loop.cause = loop;
    log.error('odd', { err: loop });
    assert.ok(last()['err']);
  });

  test('secrets are replaced by the name of their field, at any depth', () => {
    const { log, lines } = capture();
    const secret = 'hunter2';
    log.info('settings', {
      password: secret,
      redisPassword: secret,
      nested: { apiKey: secret, headers: { Authorization: secret, 'set-cookie': secret } },
      list: [{ clientSecret: secret }],
    });
    log.child({ token: secret }).info('bound');
    assert.ok(!lines.join('').includes(secret));
  });

  test('credentials in a URL are replaced wherever the URL stands', () => {
    const { log, lines } = capture();
    log.info('connecting to redis://user:hunter2@example:6379/0', {
      url: 'rediss://:hunter2@host',
      err: new Error('bad url redis://u:hun@ter2@host'),
    });
    assert.ok(!lines.join('').includes('hunter2'));
    assert.ok(!lines.join('').includes('ter2@'));
    assert.ok(lines.join('').includes('redis://***@example:6379/0'));
  });

  test('control characters, line separators and a forged line stay inside one escaped line', () => {
    const { log, lines, last } = capture();
    const hostile = 'a\u001b[31m\r\n{"level":"error"}\u2028\u2029\u0085\u009b31m\u0000\ud800\u202e';
    log.info(hostile, { name: hostile, [hostile]: 1 });
    assert.equal(lines.length, 1);
    // eslint-disable-next-line no-control-regex
    assert.match(lines[0]!, /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]*\n$/);
    assert.equal((last()['name'] as string).replace('\ufffd', '\ud800'), hostile);
  });

  test('fields cannot take the place of level, time, message or a bound field', () => {
    const { log, last } = capture();
    log
      .child({ run: 'default:1' })
      .info('task says', { level: 'error', time: 0, msg: 'fake', run: 'other', fine: 1 });
    assert.deepEqual(last(), {
      level: 'info',
      time: '2023-11-14T22:13:20.000Z',
      run: 'default:1',
      level_: 'error',
      time_: 0,
      msg_: 'fake',
      run_: 'other',
      fine: 1,
      msg: 'task says',
    });
  });

  test('values that JSON cannot hold are shown, not thrown', () => {
    const { log, last } = capture();
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    log.info('odd values', {
      big: 2n ** 64n,
      nan: NaN,
      cycle,
      fn: () => 1,
      map: new Map([['a', 1]]),
      bytes: new Uint8Array(3),
      date: new Date(NaN),
      trap: {
        get broken(): never {
          throw new Error('getter');
        },
      },
      json: {
        toJSON(): never {
          throw new Error('toJSON');
        },
      },
      ['__proto__']: { polluted: true },
    });
    const line = last();
    assert.equal(line['big'], '18446744073709551616');
    assert.equal(line['nan'], 'NaN');
    assert.equal(line['trap'], '[unreadable]');
    assert.equal(line['json'], '[unreadable]');
    assert.equal(line['bytes'], '[Uint8Array of 3 bytes]');
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  test('long strings, long lists and deep objects are cut, so a line is bounded', () => {
    const { log, lines } = capture();
    let deep: unknown = 'x';
    for (let i = 0; i < 10_000; i++) deep = { deep };
    log.info('x'.repeat(1_000_000), {
      text: 'y'.repeat(1_000_000),
      list: Array.from({ length: 10_000 }, () => 'z'),
      deep,
    });
    assert.ok(lines[0]!.length < 30_000, String(lines[0]!.length));
  });

  test('the silent log and its children accept everything', () => {
    silentLog.child({ a: 1 }).error('nothing', { err: new Error('x') });
  });
});
