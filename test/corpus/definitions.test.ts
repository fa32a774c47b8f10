/** Task definitions, contracts, modules, ids and enqueue options that are wrong, as plain JavaScript may give them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { cron } from '../../src/schedule/cron.ts';
import { every } from '../../src/schedule/every.ts';
import { defineApp } from '../../src/task/app.ts';
import { defineContract, defineTask } from '../../src/task/define-task.ts';
import { queueOfRunId, scheduleUidOfRunId, slotOfRunId } from '../../src/task/ids.ts';
import { makeRequest } from '../../src/task/make-request.ts';
import { checkGivenRunId, checkQueueName } from '../../src/task/names.ts';
import { collectTasks, TaskRegistry } from '../../src/task/registry.ts';
import { refuses } from './case.ts';

const run = (): void => undefined;
/** As JavaScript would, past the compiler. */
const define = (options: unknown) => (): unknown => Reflect.apply(defineTask, undefined, [options]);
const contract = (options: unknown) => (): unknown => Reflect.apply(defineContract, undefined, [options]);
const app = (options: unknown) => (): unknown => Reflect.apply(defineApp, undefined, [options]);
const named = (name: unknown) => define({ name, run });
const withOption = (option: object) => define({ name: 'a', run, ...option });
const throwing = (): never => {
  throw new Error('trapped');
};

const NAME = /name: .* must be lower-case letters, digits, '\.', '_' or '-', beginning and ending with/;
const OBJECT = /^a task is defined by one object of options, not /;
const TIMEOUT = /timeout: must be from 1ms to 168h, not /;
const NO_DURATION = /timeout: .*must be a duration such as/;
const ATTEMPTS = /retry\.attempts: must be a whole number from 1 to 100, not /;
const LIMIT = /maxConcurrency: must be a whole number from 1 to 2147483647, not /;

const DEFINITIONS: Readonly<Record<string, readonly [call: () => unknown, message: RegExp]>> = {
  'no options': [define(undefined), OBJECT],
  'null for options': [define(null), OBJECT],
  'a function for options': [define(run), OBJECT],
  'a text for options': [define('a'), OBJECT],
  'no name': [define({ run }), NAME],
  'an empty name': [named(''), NAME],
  'a name of 129 letters': [named('a'.repeat(129)), NAME],
  'a name of 10 MB': [named('a'.repeat(10_000_000)), NAME],
  'a name in capitals': [named('FetchData'), NAME],
  'a name with a space': [named('a b'), NAME],
  'a name with a slash': [named('a/b'), NAME],
  'a name that climbs': [named('../../x'), NAME],
  'a name of a URL': [named('file:///etc/passwd'), NAME],
  'a name of a module of Node': [named('node:fs'), NAME],
  'a name with a colon': [named('a:b'), NAME],
  'a name with a semicolon': [named('a;b'), NAME],
  'a name with a newline': [named('a\nb'), NAME],
  'a name that ends in a newline': [named('a\n'), NAME],
  'a name with NUL': [named('a\0'), NAME],
  'a name with an escape sequence': [named('\x1b[31m\u009b'), NAME],
  'a name that runs backwards': [named('\u202ea'), NAME],
  'a name with an accent': [named('é'), NAME],
  'a name that ends in a dot': [named('a.'), NAME],
  'a name that begins with a dash': [named('-a'), NAME],
  'the name __proto__': [named('__proto__'), NAME],
  'a name that is a number': [named(5), NAME],
  'a name that is a symbol': [named(Symbol('x')), NAME],
  'a name with a toString that throws': [named({ toString: throwing }), NAME],
  'the name of a built-in task': [
    named('tidemill.noop'),
    /must not begin with tidemill\.: such names are kept/,
  ],
  'no run': [define({ name: 'a' }), /run: must be a function, not undefined/],
  'a run that is a text': [withOption({ run: 'rm -rf' }), /run: must be a function, not "rm -rf"/],
  'a run that is null': [withOption({ run: null }), /run: must be a function, not null/],
  'a mistyped option': [withOption({ timout: 5 }), /timout: is not an option \(did you mean timeout/],
  'an option named __proto__': [
    define(JSON.parse('{"name":"a","__proto__":{"polluted":1}}')),
    /__proto__: is not an option/,
  ],
  'an option of 10,000 letters': [withOption({ ['x'.repeat(10_000)]: 1 }), /x{80}: is not an option/],
  'a timeout of 0': [withOption({ timeout: 0 }), TIMEOUT],
  'a timeout of eight days': [withOption({ timeout: '192h' }), TIMEOUT],
  'a negative timeout': [withOption({ timeout: -1 }), /timeout: .* must be a whole number of milliseconds/],
  'a timeout of NaN': [withOption({ timeout: NaN }), /timeout: .* must be a whole number of milliseconds/],
  'a timeout of a word': [withOption({ timeout: 'soon' }), NO_DURATION],
  'a timeout without unit': [withOption({ timeout: '30' }), NO_DURATION],
  'a timeout that is an object': [
    withOption({ timeout: {} }),
    /timeout: must be a duration such as '30s', or a/,
  ],
  'a timeout that is null': [withOption({ timeout: null }), /timeout: must be a duration such as '30s'/],
  'a retry that is a number': [
    withOption({ retry: 5 }),
    /retry: must be an object such as \{ attempts: 5 \}/,
  ],
  'no attempts': [withOption({ retry: { attempts: 0 } }), ATTEMPTS],
  '101 attempts': [withOption({ retry: { attempts: 101 } }), ATTEMPTS],
  'half an attempt': [withOption({ retry: { attempts: 1.5 } }), ATTEMPTS],
  'attempts of text': [withOption({ retry: { attempts: '5' } }), ATTEMPTS],
  'attempts without end': [withOption({ retry: { attempts: Infinity } }), ATTEMPTS],
  'a mistyped retry': [
    withOption({ retry: { attempt: 5 } }),
    /retry\.attempt: is not an option \(did you mean/,
  ],
  'a back-off of two days': [
    withOption({ retry: { backoff: '48h' } }),
    /retry\.backoff: must be from 0s to 24h/,
  ],
  'a cap below the back-off': [
    withOption({ retry: { backoff: '10s', maxBackoff: '1s' } }),
    /retry\.maxBackoff: must be at least retry\.backoff \(10000 ms\), not 1000 ms/,
  ],
  'a decider that is no function': [withOption({ retry: { when: true } }), /retry\.when: must be a function/],
  'a limit of 0': [withOption({ maxConcurrency: 0 }), LIMIT],
  'a limit of -1': [withOption({ maxConcurrency: -1 }), LIMIT],
  'a limit of 2^31': [withOption({ maxConcurrency: 2 ** 31 }), LIMIT],
  'a limit of a BigInt': [withOption({ maxConcurrency: 1n }), LIMIT],
  'a priority that is none': [
    withOption({ priority: 'urgent' }),
    /priority: must be one of high, medium, low/,
  ],
  'a priority named __proto__': [withOption({ priority: '__proto__' }), /priority: must be one of/],
  'a cpuBound of yes': [withOption({ cpuBound: 'yes' }), /cpuBound: must be true or false, not "yes"/],
  'a description of 1,025 letters': [
    withOption({ description: 'x'.repeat(1_025) }),
    /description: must be a text of 1 to 1024 characters/,
  ],
  'an empty description': [withOption({ description: '' }), /description: must be a text of 1 to 1024/],
  'tags that are a text': [withOption({ tags: 'a' }), /tags: must be an array of texts, not "a"/],
  'a tag that is null': [
    withOption({ tags: [null] }),
    /tags\[0\]: must be a text of 1 to 64 characters, not null/,
  ],
  'a tag of 65 letters': [withOption({ tags: ['x'.repeat(65)] }), /tags\[0\]: must be a text of 1 to 64/],
  'params that are no schema': [
    withOption({ params: {} }),
    /params: must be a schema of zod 4, not a value of type/,
  ],
  'params of zod 3': [withOption({ params: { _def: {} } }), /\(this one looks like zod 3\)/],
  'a result that is a function': [withOption({ result: run }), /result: must be a schema of zod 4/],
  'a schedule that is a text': [
    withOption({ schedule: '@daily' }),
    /schedule: must be what every\(\) or cron\(\) gave/,
  ],
  'one bad schedule of several': [
    withOption({ schedule: [every('1s'), 5] }),
    /schedule\[1\]: must be what every/,
  ],
  'a schedule whose params lack one': [
    withOption({ schedule: cron('@daily'), params: z.object({ a: z.string() }) }),
    /schedule: a schedule in code runs with params \{\}, which this params schema refuses/,
  ],
  'a contract that is none': [
    define({ contract: {}, run }),
    /contract: must be what defineContract\(\) gave/,
  ],
  'a name beside a contract': [
    define({ contract: defineContract({ name: 'a' }), name: 'b', run }),
    /name: is not an option/,
  ],
  'a contract without options': [contract(undefined), /^a contract is defined by one object of options/],
  'a contract with a run': [
    contract({ name: 'a', run }),
    /run: is not an option; the options are name, params, result/,
  ],
  'a contract with a bad name': [contract({ name: 'A' }), NAME],
  'an app without options': [app(undefined), /^an app is defined by one object of options/],
  'an app whose deps are an object': [app({ deps: {} }), /deps: must be a function/],
  'an app with a mistyped hook': [app({ onFail: run }), /onFail: is not an option/],
};
describe('a definition with', () => {
  for (const [what, [call, message]] of Object.entries(DEFINITIONS))
    refuses(`${what} is refused`, call, 'TASK_INVALID', message);
});

const one = defineTask({ name: 'one', run });
const twin = defineTask({ name: 'one', run });
describe('tasks modules', () => {
  const both = (): unknown => collectTasks([{ namespace: { one, twin }, at: 'tasks.ts' }]);
  refuses(
    'with one name twice are refused',
    both,
    'TASK_DUPLICATE',
    /"one", both in tasks\.ts: rename one of/,
  );
  const apart = (): unknown =>
    collectTasks([
      { namespace: { one }, at: 'a.ts' },
      { namespace: { default: [twin] }, at: 'b.ts' },
    ]);
  refuses(
    'that share a name are refused',
    apart,
    'TASK_DUPLICATE',
    /"one", in a\.ts and in b\.ts: rename one/,
  );
  const apps = (): unknown =>
    collectTasks([{ namespace: { a: defineApp({}), b: defineApp({}) }, at: 'tasks.ts' }]);
  refuses('with two apps are refused', apps, 'TASK_INVALID', /^there are two apps, both in tasks\.ts/);
  const names = [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '../x',
    'on',
    '',
    '\x1b[31m\u009b',
  ];
  for (const name of names) {
    const get = (): unknown => new TaskRegistry([one]).get(name);
    refuses(
      `have no task ${JSON.stringify(name)}`,
      get,
      'TASK_UNKNOWN',
      /^no task is named ".*"; (did you|known)/,
    );
  }
  test('with a getter that throws are read past it', () => {
    const namespace = {
      get broken() {
        return throwing();
      },
      one,
    };
    assert.deepEqual(collectTasks([{ namespace, at: 'tasks.ts' }]).registry.names(), ['one']);
  });
});

describe('an id that a producer gives', () => {
  const RULE = /^run id ".*" must be 1 to 256 printable ASCII characters without space, '@' or ':'/;
  const ids: Readonly<Record<string, string>> = {
    nothing: '',
    'a space': 'a b',
    'a newline': 'a\nb',
    'a newline at its end': 'a\n',
    NUL: 'a\0',
    'the sign of scheduled runs': 'uid@2026-01-01T00:00:00.000Z',
    'the sign of generated ids': 'default:0123456789abcdef01234567',
    'the name of a lease': ' lease',
    'an accent': 'é',
    'half a character': '\ud800',
    'text that runs backwards': '\u202ea',
    'an escape sequence': '\x1b[31m\u009b',
    '257 characters': 'x'.repeat(257),
    '10 MB': 'x'.repeat(10_000_000),
  };
  for (const [what, id] of Object.entries(ids))
    refuses(`with ${what} is refused`, () => checkGivenRunId(id), 'RUN_ID_INVALID', RULE);
  test('that reads like one of ours names neither queue nor schedule', () => {
    for (const id of ['a', '@', ':', ':a', '@a', 'uid@', '__proto__']) {
      assert.equal(queueOfRunId(id), undefined, id);
      assert.equal(slotOfRunId(id), undefined, id);
    }
    for (const id of ['uid@run-now.7', 'uid@2026-01-01', 'uid@2026-02-30T00:00:00.000Z', 'uid@1e3']) {
      assert.equal(scheduleUidOfRunId(id), 'uid');
      assert.equal(slotOfRunId(id), undefined, id);
    }
  });
});

describe('a queue', () => {
  const RULE = /^queue ".*" must be a DNS label/;
  const names = [
    '',
    'A',
    'a_b',
    '-a',
    'a-',
    'a.b',
    'a}{b',
    '{a}',
    '../a',
    'a\n',
    'a\0',
    '__proto__',
    '\u009b',
  ];
  for (const name of [...names, 'q'.repeat(64), 'q'.repeat(10_000_000)]) {
    const title = `named ${JSON.stringify(name.slice(0, 20))} (${name.length} characters) is refused`;
    refuses(title, () => checkQueueName(name), 'QUEUE_NAME_INVALID', RULE);
  }
});

describe('a run that is enqueued with', () => {
  const enqueue = (options: unknown) => (): unknown =>
    Reflect.apply(makeRequest, undefined, ['one', {}, options, { queue: 'default', source: 'api' }]);
  const options: Readonly<Record<string, readonly [options: unknown, message: RegExp]>> = {
    'a mistyped option': [{ dely: 5 }, /dely: is not an option \(did you mean delay/],
    'an option named constructor': [{ constructor: 1 }, /constructor: is not an option/],
    'a negative delay': [{ delay: -1 }, /delay: .* must be a whole number of milliseconds/],
    'a delay of NaN': [{ delay: NaN }, /delay: .* must be a whole number of milliseconds/],
    'a delay of a word': [{ delay: 'soon' }, /delay: .*must be a duration such as/],
    'a delay of a BigInt': [{ delay: 5n }, /delay: must be a duration such as '30s', or a number of ms/],
    'a delay too long': [{ delay: 2 ** 52 }, /delay: must be from 0s to 99999h, not 4503599627370496/],
    'an expiry of 0': [{ expiresIn: 0 }, /expiresIn: must be from 1ms to 99999h, not 0/],
    'an expiry of null': [{ expiresIn: null }, /expiresIn: must be a duration/],
    'an instant of text': [{ runAt: '2026-01-01' }, /runAt: must be a Date, not "2026-01-01"/],
    'an instant of a number': [{ runAt: 5 }, /runAt: must be a Date, not 5/],
    'an instant that is none': [{ runAt: new Date(NaN) }, /runAt: is an invalid Date/],
    'an instant and a delay': [{ runAt: new Date(), delay: 5 }, /delay: cannot be given together with runAt/],
    'a priority that is none': [{ priority: 'urgent' }, /priority: must be one of high, medium, low/],
    'an id that is a number': [{ id: 5 }, /id: must be a text, not 5/],
    'a queue that is an object': [{ queue: {} }, /queue: must be a text, not a value of type object/],
  };
  for (const [what, [given, message]] of Object.entries(options))
    refuses(`${what} is refused`, enqueue(given), 'ENQUEUE_INVALID', message);
});
