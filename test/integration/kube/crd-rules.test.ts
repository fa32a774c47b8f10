/** Every rule of the object, at both of its sides, through a real API server: what a user of kubectl is told. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { crd } from '../../../src/resource/crd.ts';
import { parseScheduledTask } from '../../../src/resource/scheduled-task.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { CRON, EVERY, RULE_CASES, type Spec } from './spec-cases.ts';

let plane: ControlPlane;
before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd();
});
after(async () => {
  await plane[Symbol.asyncDispose]();
});

const object = (spec: unknown, name = 'x'): object => ({
  apiVersion: 'tidemill.dev/v1alpha1',
  kind: 'ScheduledTask',
  metadata: { name },
  spec,
});

/** The API server's problems, one a line; none when it takes the object. */
async function problemsOf(value: object, verb: readonly string[] = ['create']): Promise<readonly string[]> {
  const { code, stderr } = await plane.kubectl(
    [...verb, '--dry-run=server', '-f', '-'],
    JSON.stringify(value),
  );
  if (code === 0) return [];
  const told = /^The ScheduledTask "[^"]*" is invalid: (.*)$/s.exec(stderr.trim())?.[1] ?? stderr.trim();
  return told
    .split('\n* ')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.includes('some validation rules were not checked'));
}

/** Several at once: most of the time goes into starting kubectl. */
async function eachOf<T>(items: readonly T[], check: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await check(item);
  };
  await Promise.all([worker(), worker(), worker()]);
}

const isTakenByUs = (value: object): boolean => parseScheduledTask(value, 'refuse').kind === 'object';

describe('each rule', () => {
  for (const { message, taken, refused } of RULE_CASES) {
    test(`"${message}" lets the good pass and names what is wrong with the bad`, async () => {
      await eachOf(taken, async (spec) => {
        assert.deepEqual(await problemsOf(object(spec)), [], JSON.stringify(spec));
        assert.ok(isTakenByUs(object(spec)), `from a file: ${JSON.stringify(spec)}`);
      });
      await eachOf(refused, async ([spec, ...problems]) => {
        assert.deepEqual(await problemsOf(object(spec)), problems, JSON.stringify(spec));
        assert.ok(!isTakenByUs(object(spec)), `from a file: ${JSON.stringify(spec)}`);
      });
    });
  }

  test('of the CRD stands in that table, or is about an edit', () => {
    const inCrd = [...new Set(rulesIn(crd()))].sort();
    const tried = RULE_CASES.map(({ message }) => message);
    assert.deepEqual(
      inCrd.filter((message) => !tried.some((known) => message.includes(known))),
      ['cannot change: delete the object and create it again to move it to another queue'],
    );
    assert.deepEqual(
      tried.filter((message) => !inCrd.some((known) => known.includes(message))),
      [],
    );
  });
});

function rulesIn(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]: [string, unknown]) =>
    key === 'x-kubernetes-validations' && Array.isArray(value)
      ? value.map((rule: { message?: string; messageExpression?: string }) =>
          String(rule.message ?? rule.messageExpression),
        )
      : rulesIn(value),
  );
}

describe('a user', () => {
  test('is told everything that is wrong at once', async () => {
    const spec = { task: 'a', every: '1d', timeZone: 'Etc/UTC', queue: 'A b' };
    assert.deepEqual((await problemsOf(object(spec))).toSorted(), [
      'spec.every: Invalid value: "1d": must be a duration such as 500ms, 30s or 1h30m (units h, m, s, ms; no days, no fractions)',
      'spec.queue: Invalid value: "A b": must be a DNS label: lower-case letters, digits and -',
      'spec.timeZone: Forbidden: only with schedule: every counts elapsed time and has no zone',
    ]);
  });

  test('cannot name an object with more than 52 characters', async () => {
    assert.deepEqual(await problemsOf(object(EVERY, 'a'.repeat(52))), []);
    assert.deepEqual(await problemsOf(object(EVERY, 'a'.repeat(53))), [
      'metadata.name: Too long: may not be more than 52 bytes',
    ]);
  });

  test('is told about a field that does not exist', async () => {
    const [problem, ...more] = await problemsOf(object({ ...EVERY, supend: true, retry: { limit: 3 } }));
    assert.deepEqual(more, []);
    assert.match(
      problem ?? '',
      /strict decoding error: unknown field "spec\.retry\.limit", unknown field "spec\.supend"$/,
    );
  });

  const BOUNDS: readonly (readonly [Spec, string])[] = [
    [{ every: '1s' }, 'spec.task: Required value'],
    [{ ...EVERY, task: 'a'.repeat(129) }, 'spec.task: Too long: may not be more than 128 bytes'],
    [
      { ...EVERY, every: 30 },
      'spec.every: Invalid value: "integer": spec.every in body must be of type string: "integer"',
    ],
    [
      { ...EVERY, suspend: 'yes' },
      'spec.suspend: Invalid value: "string": spec.suspend in body must be of type boolean: "string"',
    ],
    [
      { ...EVERY, concurrencyPolicy: 'forbid' },
      'spec.concurrencyPolicy: Unsupported value: "forbid": supported values: "Allow", "Forbid", "Replace"',
    ],
    [
      { ...EVERY, startTime: '2026-02-30T00:00:00Z' },
      'spec.startTime: Invalid value: "2026-02-30T00:00:00Z": spec.startTime in body must be of type date-time: "2026-02-30T00:00:00Z"',
    ],
    [
      { ...EVERY, startingDeadlineSeconds: 0 },
      'spec.startingDeadlineSeconds: Invalid value: 0: spec.startingDeadlineSeconds in body should be greater than or equal to 1',
    ],
    [
      { ...EVERY, timeoutSeconds: 604_801 },
      'spec.timeoutSeconds: Invalid value: 604801: spec.timeoutSeconds in body should be less than or equal to 604800',
    ],
    [
      { ...EVERY, params: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`k${at}`, at])) },
      'spec.params: Too many: 65: must have at most 64 items',
    ],
    [
      { ...EVERY, params: [] },
      'spec.params: Invalid value: "array": spec.params in body must be of type object: "array"',
    ],
  ];
  test('is told which type, bound or choice a field has', async () => {
    await eachOf(BOUNDS, async ([spec, problem]) => {
      assert.deepEqual(await problemsOf(object(spec)), [problem]);
      assert.ok(!isTakenByUs(object(spec)), JSON.stringify(spec));
    });
  });
});

/**
 * What a file is refused for and the API server takes: the watcher reads such an object as unreadable, and its
 * condition names the field. The other direction must not exist.
 */
const ONLY_WE_REFUSE: readonly (readonly [why: string, spec: Spec])[] = [
  ['CEL cannot count the bytes of params', { ...EVERY, params: { a: 'x'.repeat(256 * 1_024) } }],
  ['CEL cannot look into params', { ...EVERY, params: { constructor: 1 } }],
  ['beyond 2^53 JavaScript would round', { ...EVERY, startingDeadlineSeconds: 2 ** 53 }],
  ["the server's parser of times takes a comma", { ...EVERY, startTime: '2026-01-01T00:00:00,5Z' }],
  [
    "the server's parser of times takes an offset of a day",
    { ...EVERY, startTime: '2026-01-01T00:00:00+24:00' },
  ],
  [
    "the server's parser of times takes any number of digits",
    { ...EVERY, startTime: '2026-01-01T00:00:00.1234567890Z' },
  ],
];

describe('an object from a file and one from the API server', () => {
  test('are judged alike, but for what the rules of a CRD cannot say', async () => {
    await eachOf(ONLY_WE_REFUSE, async ([why, spec]) => {
      assert.deepEqual(await problemsOf(object(spec)), [], why);
      assert.ok(!isTakenByUs(object(spec)), why);
    });
  });

  test('have what only the engine can know judged by neither', async () => {
    const specs = [
      { ...CRON, timeZone: 'Europe/Nowhere' }, // which zones there are is the engine's to know
      { ...CRON, schedule: '61 6 * * *' }, // and so are ranges, names and steps of cron
      { ...CRON, schedule: '0 6 L * *' },
      { ...CRON, schedule: '0 0 30 2 *' }, // and whether there is such a day
    ];
    await eachOf(specs, async (spec) => {
      assert.deepEqual(await problemsOf(object(spec)), []);
      assert.ok(isTakenByUs(object(spec)));
    });
  });

  test('may not have null: kubectl create drops it, server-side apply refuses it, and a file must pass both', async () => {
    const nothing = object({ ...EVERY, queue: null });
    assert.deepEqual(await problemsOf(nothing), []);
    assert.deepEqual(await problemsOf(nothing, ['apply', '--server-side']), [
      'spec.queue: Invalid value: "null": spec.queue in body must be of type string: "null"',
    ]);
    assert.ok(!isTakenByUs(nothing));
    assert.deepEqual(await problemsOf(object({ ...EVERY, task: null })), ['spec.task: Required value']);
  });
});
