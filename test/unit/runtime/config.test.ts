import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import {
  optionalSetting,
  readSettings,
  rule,
  type SettingSources,
  textSetting,
  variablesOf,
} from '../../../src/runtime/config.ts';
import { ProblemsError } from '../../../src/runtime/errors.ts';

const integer = (text: string): number | undefined => (/^[0-9]+$/.test(text) ? Number(text) : undefined);
const low = textSetting(
  { flag: 'low-mark', argument: 'n', help: 'low', default: '1' },
  'must be a whole number',
  integer,
);
const high = textSetting(
  { flag: 'high-mark', argument: 'n', help: 'high', default: '5' },
  'must be a whole number',
  integer,
);
const password = textSetting(
  { flag: 'password', argument: 'text', help: 'secret', secret: true },
  'must not be short',
  (text) => (text.length > 4 ? text : undefined),
);
const label = optionalSetting(
  { flag: 'label', argument: 'text', help: 'a label' },
  'must be lower case',
  (text) => (/^[a-z]+$/.test(text) ? text : undefined),
);
const schema = z.object({ low, high, password, label });
const rules = [
  rule('low', z.object({ low, high }), (values) =>
    values.low > values.high ? `${values.low} must not be above --high-mark (${values.high})` : undefined,
  ),
];

const sources = (given: Partial<SettingSources> = {}): SettingSources => ({
  flags: {},
  environment: {},
  readFile: (path) => {
    throw new Error(`ENOENT ${path}`);
  },
  knownVariables: variablesOf([schema]),
  didYouMean: (wanted, known) =>
    [...known].includes(wanted.slice(0, -1)) ? ` (did you mean ${wanted.slice(0, -1)}?)` : '',
  ...given,
});

function problemsOf(given: Partial<SettingSources>): readonly string[] {
  try {
    readSettings(schema, rules, sources(given));
  } catch (error) {
    assert.ok(error instanceof ProblemsError);
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.problems.map(({ at, message }) => `${at}: ${message}`);
  }
  return [];
}

describe('settings', () => {
  test('a flag wins over a variable, a variable over the default', () => {
    const environment = { TIDEMILL_PASSWORD: 'hunter2', TIDEMILL_HIGH_MARK: '7', TIDEMILL_LOW_MARK: '3' };
    const values = readSettings(schema, rules, sources({ environment, flags: { 'low-mark': '2' } }));
    assert.deepEqual(values, { low: 2, high: 7, password: 'hunter2', label: undefined });
    assert.ok(Object.isFrozen(values));
  });

  test('an empty variable counts as not set', () => {
    const values = readSettings(
      schema,
      rules,
      sources({ environment: { TIDEMILL_PASSWORD: 'hunter2', TIDEMILL_LOW_MARK: '' } }),
    );
    assert.equal(values.low, 1);
  });

  test('every problem is reported at once, under the name that the user wrote', () => {
    assert.deepEqual(
      problemsOf({
        flags: { 'low-mark': 'abc', label: 'NO' },
        environment: { TIDEMILL_HIGH_MARK: '1e9', TIDEMILL_LABELS: 'x', OTHER: 'y', TIDEMILL_ZZZ: '1' },
      }),
      [
        '--low-mark: "abc" must be a whole number',
        'TIDEMILL_HIGH_MARK: "1e9" must be a whole number',
        '--password: is required: give --password <text> or set TIDEMILL_PASSWORD (or TIDEMILL_PASSWORD_FILE, the path of a file that holds it)',
        '--label: "NO" must be lower case',
        'TIDEMILL_LABELS: no such setting (did you mean TIDEMILL_LABEL?): correct the name or unset it',
        'TIDEMILL_ZZZ: no such setting: correct the name or unset it',
      ],
    );
  });

  test('the variables that Kubernetes sets for a Service named like us are no mistakes, and typing errors still are', () => {
    const links = {
      TIDEMILL_REDIS_SERVICE_HOST: '10.96.0.7',
      TIDEMILL_REDIS_SERVICE_PORT: '6379',
      TIDEMILL_REDIS_SERVICE_PORT_REDIS: '6379',
      TIDEMILL_REDIS_PORT: 'tcp://10.96.0.7:6379',
      TIDEMILL_PORT: 'tcp://10.96.0.8:80',
      TIDEMILL_PORT_80_TCP_ADDR: '10.96.0.8',
    };
    const environment = { ...links, TIDEMILL_PASSWORD: 'hunter2', TIDEMILL_HTPP_PORT: '9464' };
    assert.deepEqual(problemsOf({ environment }), [
      'TIDEMILL_HTPP_PORT: no such setting: correct the name or unset it',
    ]);
  });

  test('a rule between settings is checked although others are wrong', () => {
    assert.deepEqual(
      problemsOf({ flags: { 'low-mark': '9', label: 'NO' }, environment: { TIDEMILL_PASSWORD: 'hunter2' } }),
      ['--label: "NO" must be lower case', '--low-mark: 9 must not be above --high-mark (5)'],
    );
  });

  test('a secret comes from the file that its variable names, without the newline at its end', () => {
    const values = readSettings(
      schema,
      rules,
      sources({
        environment: { TIDEMILL_PASSWORD_FILE: '/run/secret' },
        readFile: (path) => `${path}-content\n`,
      }),
    );
    assert.equal(values.password, '/run/secret-content');
  });

  test('a secret in a variable loses the newline of the file that it was made from, and nothing else', () => {
    const passwordOf = (text: string): unknown =>
      readSettings(schema, rules, sources({ environment: { TIDEMILL_PASSWORD: text } })).password;
    assert.equal(passwordOf('hunter2\n'), 'hunter2');
    assert.equal(passwordOf(' hunter 2 \r\n'), ' hunter 2 ');
    assert.ok(
      problemsOf({ environment: { TIDEMILL_PASSWORD: '\n' } })
        .join()
        .includes('is required'),
    );
  });

  test('a secret file that cannot be read is a problem that names the file', () => {
    assert.deepEqual(problemsOf({ environment: { TIDEMILL_PASSWORD_FILE: '/nope' } }), [
      'TIDEMILL_PASSWORD_FILE: the file "/nope" cannot be read: ENOENT /nope',
    ]);
  });

  test('a secret given twice is a problem, and no message shows a secret', () => {
    const environment = { TIDEMILL_PASSWORD: 'hunter2', TIDEMILL_PASSWORD_FILE: '/run/secret' };
    assert.deepEqual(problemsOf({ environment }), [
      'TIDEMILL_PASSWORD_FILE: is set as well as TIDEMILL_PASSWORD: set one of the two',
    ]);
    assert.deepEqual(problemsOf({ environment: { TIDEMILL_PASSWORD: 'abc' } }), [
      'TIDEMILL_PASSWORD: what was given must not be short',
    ]);
  });

  test('names such as __proto__ in the environment are only names', () => {
    assert.equal(problemsOf({ environment: { TIDEMILL___proto__: '1' } }).length, 2);
  });
});
