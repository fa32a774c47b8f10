/** Flags, variables, secret files and the queues file that are wrong: each problem names what the user wrote, and the rule. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { z } from 'zod';
import { parseQueuesFile } from '../../src/cli/queues-file.ts';
import { REDIS_RULES } from '../../src/cli/redis-settings.ts';
import {
  COMMAND_SETTINGS,
  CONSUMER_RULES,
  ConsumerSettings,
  ControllerSettings,
} from '../../src/cli/settings.ts';
import { readSettings, variablesOf } from '../../src/runtime/config.ts';
import { ProblemsError } from '../../src/runtime/errors.ts';
import { didYouMean } from '../../src/task/near-names.ts';
import { assertPlain, assertUnpolluted } from './case.ts';

const KNOWN = variablesOf(Object.values(COMMAND_SETTINGS));
const SECRET = 'hunter2';
const FILES: Readonly<Record<string, string>> = {
  '/empty': '',
  '/wrong': `http://user:${SECRET}@host`,
  '/newline': 'redis://host\n',
};
const NEEDED = { tasks: 'tasks.ts', redis: 'redis://host' };

interface Given {
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly environment?: Readonly<Record<string, string>>;
}

function problemsOf(schema: z.ZodObject, { flags = {}, environment = {} }: Given): readonly string[] {
  try {
    readSettings(schema, schema === ConsumerSettings ? CONSUMER_RULES : REDIS_RULES, {
      flags: { ...NEEDED, ...flags },
      environment,
      readFile: (path) => {
        const text = FILES[path];
        if (text === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
        return text;
      },
      knownVariables: KNOWN,
      didYouMean,
    });
    return [];
  } catch (error) {
    assert.ok(error instanceof ProblemsError);
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.doesNotMatch(error.message, new RegExp(SECRET));
    return error.problems.map(({ at, message }) => `${at}: ${message}`);
  }
}

const flag = (name: string, value: string | undefined): Given => ({ flags: { [name]: value } });
const variable = (name: string, value: string): Given => ({ environment: { [name]: value } });
const url = (value: string): Given => flag('redis', value);
const URL_RULE = /^--redis: what was given must be redis:\/\/\[user:password@\]host/;
const CONCURRENCY = /^--concurrency: ".*" must be a whole number from 1 to 10000$/;
const PORT = /^--http-port: ".*" must be a whole number from 0 to 65535$/;
const LEASE = /^--lease: ".*" must be a duration from 1s to 10m, such as/;
const BYTES = /^--child-heap: ".*" must be a number of bytes such as .*, at least 16MiB$/;
const QUEUE = /^--queue: ".*" must be a DNS label: .*; or several such names separated by commas$/;
const PREFIX = /^--prefix: ".*" must be 1 to 32 lower-case letters, digits, - or _$/;
const SENTINELS = /^--redis-sentinels: ".*" must be host:port, or several such/;

/** What is given besides what is needed, and the one problem. */
const REFUSED: Readonly<Record<string, readonly [given: Given, problem: RegExp]>> = {
  'no Redis': [
    flag('redis', undefined),
    /^--redis: is required: give --redis <url> or set TIDEMILL_REDIS_URL/,
  ],
  'no tasks': [flag('tasks', undefined), /^--tasks: is required: give --tasks <path> or set TIDEMILL_TASKS$/],
  'an empty list of tasks': [flag('tasks', ' , ,'), /^--tasks: " , ," must be the path of a module/],
  'an empty URL': [url(''), URL_RULE],
  'a URL without host': [url('redis://'), URL_RULE],
  'a URL of another scheme': [url('http://host'), URL_RULE],
  'a URL of a file': [url('file:///etc/passwd'), URL_RULE],
  'a URL of JavaScript': [url('javascript:alert(1)'), URL_RULE],
  'a host without scheme': [url('host:6379'), URL_RULE],
  'port 0': [url('redis://host:0'), URL_RULE],
  'port 70000': [url('redis://host:70000'), URL_RULE],
  'a port of text': [url('redis://host:http'), URL_RULE],
  'a database of text': [url('redis://host/db'), URL_RULE],
  'a database with a fraction': [url('redis://host/1.5'), URL_RULE],
  'a negative database': [url('redis://host/-1'), URL_RULE],
  'a database of 8 digits': [url('redis://host/99999999'), URL_RULE],
  'a password with a bare #': [url(`redis://u:${SECRET}#@host`), URL_RULE],
  'a password with a bare /': [url(`redis://u:${SECRET}/x@host`), URL_RULE],
  'a password with a bare ?': [url(`redis://u:${SECRET}?x@host`), URL_RULE],
  'a password with a bare %': [url(`redis://u:${SECRET}%@host`), URL_RULE],
  'a host with a space': [url('redis://a b'), URL_RULE],
  'half an IPv6 address': [url('redis://[::1'), URL_RULE],
  'options in the URL': [url('redis://host?tls=false'), URL_RULE],
  'a URL with NUL': [url('redis://ho\0st'), URL_RULE],
  'a concurrency of text': [flag('concurrency', 'abc'), CONCURRENCY],
  'a concurrency of 0': [flag('concurrency', '0'), CONCURRENCY],
  'a negative concurrency': [flag('concurrency', '-1'), CONCURRENCY],
  'a concurrency with an exponent': [flag('concurrency', '1e3'), CONCURRENCY],
  'half a concurrency': [flag('concurrency', '1.5'), CONCURRENCY],
  'a hexadecimal concurrency': [flag('concurrency', '0x10'), CONCURRENCY],
  'a concurrency with a sign': [flag('concurrency', '+5'), CONCURRENCY],
  'a concurrency with a space': [flag('concurrency', ' 5'), CONCURRENCY],
  'a concurrency with a newline': [flag('concurrency', '5\n'), CONCURRENCY],
  'a concurrency of full-width digits': [flag('concurrency', '５'), CONCURRENCY],
  'a concurrency of 10,001': [flag('concurrency', '10001'), CONCURRENCY],
  'a concurrency of 400 digits': [flag('concurrency', '9'.repeat(400)), CONCURRENCY],
  'an empty concurrency': [flag('concurrency', ''), CONCURRENCY],
  'a concurrency of NaN': [flag('concurrency', 'NaN'), CONCURRENCY],
  'a concurrency with an escape sequence': [flag('concurrency', '\x1b[31m\u009b'), CONCURRENCY],
  'a concurrency that runs backwards': [flag('concurrency', '\u202e5'), CONCURRENCY],
  'a concurrency by variable': [
    variable('TIDEMILL_CONCURRENCY', 'many'),
    /^TIDEMILL_CONCURRENCY: "many" must be a whole number/,
  ],
  'a HTTP port above all': [flag('http-port', '65536'), PORT],
  'a HTTP port of text': [flag('http-port', 'http'), PORT],
  'a negative HTTP port': [flag('http-port', '-1'), PORT],
  'a HTTP host with a space': [
    flag('http-host', '0.0.0.0 '),
    /^--http-host: .* must be an IP address or host/,
  ],
  'a HTTP host with a path': [
    flag('http-host', 'a/b'),
    /^--http-host: "a\/b" must be an IP address or host name$/,
  ],
  'a lease without unit': [flag('lease', '10'), LEASE],
  'a lease too short': [flag('lease', '999ms'), LEASE],
  'a lease too long': [flag('lease', '10m1ms'), LEASE],
  'a lease of another spelling': [flag('lease', 'PT10S'), LEASE],
  'a lease of half a second': [flag('lease', '0.5s'), LEASE],
  'a lease of 100,000 characters': [flag('lease', '1h'.repeat(50_000)), LEASE],
  'a heartbeat above half of the lease': [
    flag('heartbeat', '5s1ms'),
    /^--heartbeat: 5s1ms must be at most half of --lease \(10s\), or one slow reply loses the lease$/,
  ],
  'a lease below two heartbeats': [flag('lease', '4s'), /2s500ms must be at most half of --lease \(4s\)/],
  'a negative drain': [flag('drain', '-1s'), /^--drain: "-1s" must be a duration from 0s to 24h/],
  'a heap of text': [flag('child-heap', 'much'), BYTES],
  'a heap too small': [flag('child-heap', '1MiB'), BYTES],
  'a heap in units of thousands': [flag('child-heap', '64MB'), BYTES],
  'a heap with a space': [flag('child-heap', '64 MiB'), BYTES],
  'a negative heap': [flag('child-heap', '-64MiB'), BYTES],
  'restricted children in other words': [
    flag('child-restricted', 'yes'),
    /^--child-restricted: "yes" must be true or false$/,
  ],
  'a right of children that there is not': [
    { flags: { 'child-restricted': 'true', 'child-allow': 'worker,net' } },
    /^--child-allow: "worker,net" must be one of child-process, worker, addons, wasi, or several/,
  ],
  'a list of no paths for children': [
    { flags: { 'child-restricted': 'true', 'child-read': ',' } },
    /^--child-read: "," must be the path of a file or folder/,
  ],
  ...Object.fromEntries(
    ['child-read', 'child-write', 'child-allow'].map((name): [string, readonly [Given, RegExp]] => [
      `${name} for children that are not restricted`,
      [flag(name, 'worker'), new RegExp(`^--${name}: needs --child-restricted true: without it`)],
    ]),
  ),
  'too many processes for CPU-bound runs': [
    flag('cpu-concurrency', '257'),
    /^--cpu-concurrency: "257" must be/,
  ],
  'a queue in capitals': [flag('queue', 'Default'), QUEUE],
  'a queue that breaks out of its tag': [flag('queue', 'a}{b'), QUEUE],
  'a queue with a path': [flag('queue', '../a'), QUEUE],
  'one bad queue of several': [flag('queue', 'a,B'), QUEUE],
  'no queue of several': [flag('queue', ','), QUEUE],
  'a prefix with a brace': [flag('prefix', 'a{b}'), PREFIX],
  'a prefix with a colon': [flag('prefix', 'a:b'), PREFIX],
  'a prefix of 33 letters': [flag('prefix', 'p'.repeat(33)), PREFIX],
  'a prefix with a star': [flag('prefix', 'a*'), PREFIX],
  'a log level that is none': [flag('log-level', 'loud'), /^--log-level: "loud" must be one of debug, info/],
  'a log level named __proto__': [flag('log-level', '__proto__'), /^--log-level: "__proto__" must be one of/],
  'most deliveries of 0': [
    flag('max-deliveries', '0'),
    /^--max-deliveries: "0" must be a whole number from 1/,
  ],
  'most pending of a billion and one': [
    flag('max-pending', '1000000001'),
    /^--max-pending: .* from 1 to 1000000000$/,
  ],
  'retention of eleven years': [
    flag('retain-failed', '99999h'),
    /^--retain-failed: "99999h" must be a duration from/,
  ],
  'an empty user': [flag('redis-username', ''), /^--redis-username: "" must not be empty$/],
  'an empty password': [flag('redis-password', ''), /^--redis-password: what was given must not be empty$/],
  'an authority without TLS': [flag('redis-ca', '/ca.pem'), /^--redis-ca: needs a rediss:\/\/ URL/],
  'a sentinel without port': [flag('redis-sentinels', 'a'), SENTINELS],
  'a sentinel at port 0': [flag('redis-sentinels', 'a:0'), SENTINELS],
  'a sentinel with a URL': [flag('redis-sentinels', 'redis://a:1'), SENTINELS],
  'sentinels without the name of the master': [
    flag('redis-sentinels', 'a:1'),
    /^--redis-sentinels: needs --redis-sentinel-name, the name of the master$/,
  ],
  'the name of a master without sentinels': [
    flag('redis-sentinel-name', 'm'),
    /^--redis-sentinel-name: needs --redis-sentinels, where to ask$/,
  ],
  'Sentinel and Cluster': [
    { flags: { 'redis-sentinels': 'a:1', 'redis-sentinel-name': 'm', 'redis-cluster': 'true' } },
    /^--redis-sentinels: cannot be set together with --redis-cluster: use one of the two$/,
  ],
  'a Cluster of yes': [flag('redis-cluster', 'yes'), /^--redis-cluster: "yes" must be true or false$/],
  'a variable that is not known': [
    variable('TIDEMILL_CONCURENCY', '5'),
    /^TIDEMILL_CONCURENCY: no such setting \(did you mean TIDEMILL_CONCURRENCY /,
  ],
  'a variable of no setting': [variable('TIDEMILL_X', '5'), /^TIDEMILL_X: no such setting: correct the name/],
  'a secret from a file that is not there': [
    { ...flag('redis', undefined), ...variable('TIDEMILL_REDIS_URL_FILE', '/nope') },
    /^TIDEMILL_REDIS_URL_FILE: the file "\/nope" cannot be read: ENOENT/,
  ],
  'a secret from an empty file': [
    { ...flag('redis', undefined), ...variable('TIDEMILL_REDIS_URL_FILE', '/empty') },
    /^TIDEMILL_REDIS_URL_FILE: what was given must be redis:/,
  ],
  'a wrong secret from a file': [
    { ...flag('redis', undefined), ...variable('TIDEMILL_REDIS_URL_FILE', '/wrong') },
    /^TIDEMILL_REDIS_URL_FILE: what was given must be redis:/,
  ],
  'a secret twice': [
    {
      flags: { redis: undefined },
      environment: { TIDEMILL_REDIS_URL: 'redis://a', TIDEMILL_REDIS_URL_FILE: '/newline' },
    },
    /^TIDEMILL_REDIS_URL_FILE: is set as well as TIDEMILL_REDIS_URL: set one of the two$/,
  ],
};
describe('a consumer that is given', () => {
  for (const [what, [given, problem]] of Object.entries(REFUSED)) {
    test(`${what} is told so`, () => {
      const problems = problemsOf(ConsumerSettings, given);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', problem);
      for (const text of problems) assertPlain(text);
      assertUnpolluted();
    });
  }

  test('ten wrong settings is told of all ten', () => {
    const wrong = {
      concurrency: 'x',
      lease: 'x',
      heartbeat: 'x',
      drain: 'x',
      'kill-grace': 'x',
      prefix: 'X',
    };
    const more = { 'http-port': 'x', 'log-level': 'x', queue: 'X', 'child-heap': 'x' };
    assert.equal(problemsOf(ConsumerSettings, { flags: { ...wrong, ...more } }).length, 10);
  });
});

const NAME = /must be 1 to 63 lower-case letters, digits or -, beginning and ending with a letter or digit$/;
const CONTROLLER: Readonly<Record<string, readonly [given: Given, problem: RegExp]>> = {
  'a namespace with a path': [
    flag('watch-namespaces', '../a'),
    /^--watch-namespaces: .* must be the name of a/,
  ],
  'no namespace of several': [
    flag('watch-namespaces', ','),
    /^--watch-namespaces: "," must be the name of a/,
  ],
  'a Lease in capitals': [flag('lease-name', 'Lease'), NAME],
  'a Lease of 64 letters': [flag('lease-name', 'l'.repeat(64)), NAME],
  'the namespace of a Lease with a slash': [flag('lease-namespace', 'a/b'), NAME],
  'an install with a space': [flag('install', 'a b'), NAME],
  'an empty context': [flag('context', ''), /^--context: "" must not be empty$/],
  'an empty path of queues': [flag('queues-file', ''), /^--queues-file: "" must be the path of a file$/],
};
describe('a controller that is given', () => {
  for (const [what, [given, problem]] of Object.entries(CONTROLLER)) {
    test(`${what} is told so`, () => {
      const problems = problemsOf(ControllerSettings, given);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', problem);
    });
  }
});

/** Strange, and right. */
const TAKEN: Readonly<Record<string, Given>> = {
  'a password with all that needs escapes': url('redis://u:p%40s%2Fs%23w%25d@host'),
  'an IPv6 address': url('redis://[::1]:6379/3'),
  'an empty variable, which is none': variable('TIDEMILL_CONCURRENCY', ''),
  'the variables of a Service named tidemill-redis': {
    environment: {
      TIDEMILL_REDIS_PORT: 'tcp://10.0.0.1:6379',
      TIDEMILL_REDIS_SERVICE_HOST: '10.0.0.1',
      TIDEMILL_REDIS_PORT_6379_TCP_ADDR: '10.0.0.1',
    },
  },
  'a secret file that ends with a newline': {
    flags: { redis: undefined },
    environment: { TIDEMILL_REDIS_URL_FILE: '/newline' },
  },
};
describe('a consumer that is given', () => {
  for (const [what, given] of Object.entries(TAKEN))
    test(`${what} takes it`, () => assert.deepEqual(problemsOf(ConsumerSettings, given), []));
});

const QUEUES: Readonly<Record<string, readonly [text: string, problem: RegExp]>> = {
  'nothing in it': ['', /^queues\.yaml must hold one document, not 0$/],
  'two documents': ['queues: []\n---\nqueues: []', /must hold one document, not 2$/],
  'a text in it': ['hello', /must be a map of fields$/],
  'a list in it': ['[1]', /must be a map of fields$/],
  'no queues': ['{}', /queues: is required$/],
  'queues that are a map': ['queues: {}', /queues: must be a list$/],
  'a queue that is a text': ['queues: [a]', /must be a map of fields$/],
  'a queue without name': ['queues: [{ namespaces: [a] }]', /is required$/],
  'a queue in capitals': ['queues: [{ name: A, namespaces: [a] }]', /"A": must be a DNS label/],
  'an unknown field': ['queue: []\nqueues: []', /queue: is not a field: did you mean queues\?$/],
  'an unknown field of a queue': [
    'queues: [{ name: a, namespace: [b] }]',
    /is not a field: did you mean namespaces/,
  ],
  __proto__: ['queues: []\n__proto__: { polluted: 1 }', /object: must not have the key __proto__$/],
  'a key twice': ['queues: []\nqueues: []', /"queues" stands twice in the same map/],
  'a depth of 10,000': ['['.repeat(10_000), /must not be nested deeper than 100 levels$/],
  'a bomb of aliases': [
    `a: &a [x, x]\n${Array.from('abcdefghijklmnop', (name, at) => `n${at}: &${'bcdefghijklmnopq'[at]} [*${name}, *${name}]`).join('\n')}`,
    /has too many aliases/,
  ],
  'tabs as indentation': ['queues:\n\t- name: a', /Tabs are not allowed as indentation$/],
};
describe('a queues file with', () => {
  for (const [what, [text, problem]] of Object.entries(QUEUES)) {
    test(`${what} is refused`, () => {
      const read = parseQueuesFile(text, 'queues.yaml');
      assert.ok('problems' in read);
      const told = read.problems.map(({ at, message }) => `${at} ${message}`);
      assert.ok(
        told.some((line) => problem.test(line)),
        told.join('\n'),
      );
      for (const { message } of read.problems) assertPlain(message);
      assertUnpolluted();
    });
  }
});
