import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScheduledTask, type ScheduledTask } from '../../../src/resource/scheduled-task.ts';

const object = (spec: unknown, more: object = {}): unknown => ({
  apiVersion: 'tidemill.dev/v1alpha1',
  kind: 'ScheduledTask',
  metadata: { name: 'x' },
  spec,
  ...more,
});
const messages = (value: unknown): readonly string[] => {
  const parsed = parseScheduledTask(value, 'refuse');
  return parsed.kind === 'invalid' ? parsed.problems.map(({ message }) => message) : [];
};
function parsed(value: unknown, unknown: 'refuse' | 'ignore' = 'refuse'): ScheduledTask {
  const result = parseScheduledTask(value, unknown);
  return result.kind === 'object' ? result.object : assert.fail(JSON.stringify(result));
}

const CRON = { task: 'a', schedule: '0 6 * * *' };
const EVERY = { task: 'a', every: '30s' };
const DURATION = 'must be a duration such as 500ms, 30s or 1h30m (units h, m, s, ms; no days, no fractions)';
const SHAPE =
  'must be five cron fields (minute hour day-of-month month day-of-week) or one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; seconds, ?, L, W and # are not supported';
const ZONE = 'must be an IANA time zone name such as Europe/Rome or Etc/UTC (no offsets, not Local)';
const TASK = "must be lower-case letters, digits, '.', '_' or '-', and begin and end with a letter or digit";
const ALL =
  'All needs concurrencyPolicy: Allow (Forbid and Replace would drop all but one of the catch-up runs)';

/** The API server's own sentences, here after field and value. */
const REFUSED: readonly (readonly [title: string, spec: unknown, expected: readonly string[]])[] = [
  ['both schedule and every', { ...CRON, every: '1s' }, ['spec: set schedule or every, not both']],
  ['neither schedule nor every', { task: 'a' }, ['spec: one of schedule or every is required']],
  [
    'timeZone with every',
    { ...EVERY, timeZone: 'Etc/UTC' },
    ['spec.timeZone: "Etc/UTC": only with schedule: every counts elapsed time and has no zone'],
  ],
  ['offset with schedule', { ...CRON, offset: '1s' }, ['spec.offset: "1s": only with every']],
  [
    'an interval too short',
    { ...EVERY, every: '50ms' },
    ['spec.every: "50ms": must be between 100ms and 8760h'],
  ],
  [
    'an interval too long',
    { ...EVERY, every: '8761h' },
    ['spec.every: "8761h": must be between 100ms and 8760h'],
  ],
  ['days', { ...EVERY, every: '1d' }, [`spec.every: "1d": ${DURATION}`]],
  ['a number without a unit', { ...EVERY, every: '30' }, [`spec.every: "30": ${DURATION}`]],
  [
    'a number instead of a text',
    { ...EVERY, every: 30 },
    ['spec.every: 30: must be a text: put it in quotes'],
  ],
  [
    'an empty interval',
    { ...EVERY, every: '' },
    ['spec.every: "": must have at least 1 character', `spec.every: "": ${DURATION}`],
  ],
  ['an unfinished interval', { ...EVERY, every: '1h30' }, [`spec.every: "1h30": ${DURATION}`]],
  ['a fraction', { ...EVERY, every: '30.5s' }, [`spec.every: "30.5s": ${DURATION}`]],
  [
    'CRON_TZ in the schedule',
    { ...CRON, schedule: 'CRON_TZ=UTC 0 6 * * *' },
    ['spec.schedule: "CRON_TZ=UTC 0 6 * * *": must not carry TZ= or CRON_TZ=: set spec.timeZone instead'],
  ],
  ['four fields', { ...CRON, schedule: '* * * *' }, [`spec.schedule: "* * * *": ${SHAPE}`]],
  ['six fields', { ...CRON, schedule: '* * * * * *' }, [`spec.schedule: "* * * * * *": ${SHAPE}`]],
  ['@reboot', { ...CRON, schedule: '@reboot' }, [`spec.schedule: "@reboot": ${SHAPE}`]],
  ['markup', { ...CRON, schedule: '<a> b c d e' }, [`spec.schedule: "<a> b c d e": ${SHAPE}`]],
  ['a line break', { ...CRON, schedule: '* * * *\n*' }, [`spec.schedule: "* * * *\\n*": ${SHAPE}`]],
  [
    'an end before the start',
    { ...EVERY, startTime: '2026-02-01T00:00:00Z', endTime: '2026-01-01T00:00:00Z' },
    ['spec.endTime: "2026-01-01T00:00:00Z": must be after startTime'],
  ],
  [
    'an end at the start',
    { ...EVERY, startTime: '2026-01-01T00:00:00Z', endTime: '2026-01-01T01:00:00+01:00' },
    ['spec.endTime: "2026-01-01T01:00:00+01:00": must be after startTime'],
  ],
  [
    'maxCatchUp with Latest',
    { ...EVERY, maxCatchUp: 5 },
    ['spec.maxCatchUp: 5: only with missedRunPolicy: All'],
  ],
  ['All with Forbid', { ...EVERY, missedRunPolicy: 'All' }, [`spec.missedRunPolicy: "All": ${ALL}`]],
  [
    'a cap below the first wait',
    { ...EVERY, retry: { backoffSeconds: 10, maxBackoffSeconds: 5 } },
    ['spec.retry.maxBackoffSeconds: 5: must be at least backoffSeconds'],
  ],
  ['the local zone', { ...CRON, timeZone: 'local' }, [`spec.timeZone: "local": ${ZONE}`]],
  ['an offset as zone', { ...CRON, timeZone: '+02:00' }, [`spec.timeZone: "+02:00": ${ZONE}`]],
  [
    'an offset longer than every',
    { ...EVERY, offset: '1m' },
    ['spec.offset: "1m": must be shorter than every'],
  ],
  [
    'a jitter longer than every',
    { ...EVERY, jitter: '1m' },
    ['spec.jitter: "1m": must be shorter than every'],
  ],
  ['a jitter over an hour', { ...CRON, jitter: '61m' }, ['spec.jitter: "61m": must be at most 1h']],
  ['a jitter in days', { ...CRON, jitter: '2d' }, [`spec.jitter: "2d": ${DURATION}`]],
  [
    'a queue with a capital',
    { ...EVERY, queue: 'High' },
    ['spec.queue: "High": must be a DNS label: lower-case letters, digits and -'],
  ],
  ['a task with a space', { ...EVERY, task: 'Fetch Data' }, [`spec.task: "Fetch Data": ${TASK}`]],
  ['a task that is a path', { ...EVERY, task: '../x' }, [`spec.task: "../x": ${TASK}`]],
  [
    'a task that is a URL',
    { ...EVERY, task: 'file:///etc/passwd' },
    [`spec.task: "file:///etc/passwd": ${TASK}`],
  ],
  ['a task named __proto__', { ...EVERY, task: '__proto__' }, [`spec.task: "__proto__": ${TASK}`]],
  [
    'a task of 129 characters',
    { ...EVERY, task: 'a'.repeat(129) },
    [`spec.task: "${'a'.repeat(60)}"… (129 characters): must have at most 128 characters`],
  ],
  ['no task', { every: '1s' }, ['spec.task: is required']],
  ['an unknown field', { ...EVERY, supend: true }, ['spec.supend: is not a field: did you mean suspend?']],
  [
    'an unknown field in retry',
    { ...EVERY, retry: { limit: 3 } },
    ['spec.retry.limit: is not a field: there are attempts, backoffSeconds, maxBackoffSeconds'],
  ],
  ['a text for a flag', { ...EVERY, suspend: 'yes' }, ['spec.suspend: "yes": must be true or false']],
  [
    'a negative deadline',
    { ...EVERY, startingDeadlineSeconds: -1 },
    ['spec.startingDeadlineSeconds: -1: must be at least 1'],
  ],
  ['a timeout of zero', { ...EVERY, timeoutSeconds: 0 }, ['spec.timeoutSeconds: 0: must be at least 1']],
  [
    'a timeout beyond a week',
    { ...EVERY, timeoutSeconds: 604_801 },
    ['spec.timeoutSeconds: 604801: must be at most 604800'],
  ],
  ['half a second', { ...EVERY, timeoutSeconds: 0.5 }, ['spec.timeoutSeconds: 0.5: must be a whole number']],
  [
    'attempts as text',
    { ...EVERY, retry: { attempts: '3' } },
    ['spec.retry.attempts: "3": must be a whole number'],
  ],
  [
    'a priority of no set',
    { ...EVERY, priority: 'high' },
    ['spec.priority: "high": must be one of High, Medium, Low'],
  ],
  [
    'a policy of no set',
    { ...EVERY, concurrencyPolicy: 'forbid' },
    ['spec.concurrencyPolicy: "forbid": must be one of Allow, Forbid, Replace'],
  ],
  // `kubectl create` drops it, server-side apply refuses it: a file must pass both.
  ['null for a field', { ...EVERY, queue: null }, ['spec.queue: null: must be a text']],
  [
    'a day that is not',
    { ...EVERY, startTime: '2026-02-30T00:00:00Z' },
    ['spec.startTime: "2026-02-30T00:00:00Z": must be a time such as 2026-03-01T08:00:00Z'],
  ],
  [
    'a date without a time',
    { ...EVERY, endTime: '2026-02-01' },
    ['spec.endTime: "2026-02-01": must be a time such as 2026-03-01T08:00:00Z'],
  ],
  ...['2026-01-01T24:00:00Z', '0000-06-01T00:00:00Z', '2026-01-01t00:00:00z'].map(
    (startTime): (typeof REFUSED)[number] => [
      `a start of ${startTime}`,
      { ...EVERY, startTime },
      [`spec.startTime: "${startTime}": must be a time such as 2026-03-01T08:00:00Z`],
    ],
  ),
  ['params that are a list', { ...EVERY, params: [] }, ['spec.params: must be a map of fields']],
  [
    '65 params',
    { ...EVERY, params: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 1])) },
    ['spec.params: must have at most 64 keys, not 65'],
  ],
  [
    'params of 256 KiB',
    { ...EVERY, params: { a: 'x'.repeat(256 * 1024) } },
    [
      'spec.params: must be at most 256 KiB as JSON, not 257 KiB: store the data elsewhere and pass a reference',
    ],
  ],
  [
    'params 10,000 levels deep',
    { ...EVERY, params: { a: nested(10_000) } },
    ['spec.params: must not be nested deeper than 32 levels'],
  ],
  [
    'not a number in params',
    { ...EVERY, params: { a: { b: Number.NaN } } },
    ['spec.params: a.b must be a finite number'],
  ],
  [
    '__proto__ in params',
    { ...EVERY, params: JSON.parse('{"a":[{"__proto__":{}}]}') as unknown },
    ['spec.params.a[0]: must not have the key __proto__'],
  ],
  [
    'several things at once',
    { task: 'a', every: '1d', timeZone: 'Etc/UTC', queue: 'A b', suspend: 'no' },
    [
      `spec.every: "1d": ${DURATION}`,
      'spec.suspend: "no": must be true or false',
      'spec.queue: "A b": must be a DNS label: lower-case letters, digits and -',
      'spec.timeZone: "Etc/UTC": only with schedule: every counts elapsed time and has no zone',
    ],
  ],
];
for (const [title, spec, expected] of REFUSED) {
  test(`an object with ${title} is refused, naming field, value and rule`, () => {
    assert.deepEqual(messages(object(spec)), expected);
  });
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

const ENVELOPES: readonly (readonly [
  title: string,
  value: unknown,
  expected: readonly (string | RegExp)[],
])[] = [
  [
    'another version',
    { ...(object(EVERY) as object), apiVersion: 'tidemill.dev/v1' },
    ['apiVersion: "tidemill.dev/v1": must be tidemill.dev/v1alpha1'],
  ],
  ['another kind', { ...(object(EVERY) as object), kind: 'Task' }, ['kind: "Task": must be ScheduledTask']],
  ['no metadata', { ...(object(EVERY) as object), metadata: undefined }, ['metadata: is required']],
  ['no name', object(EVERY, { metadata: { generateName: 'x-' } }), ['metadata.name: is required']],
  [
    'a name of 53 characters',
    object(EVERY, { metadata: { name: 'a'.repeat(53) } }),
    [`metadata.name: "${'a'.repeat(53)}": must have at most 52 characters`],
  ],
  [
    'a name with a capital',
    object(EVERY, { metadata: { name: 'A' } }),
    [
      'metadata.name: "A": must be lower-case letters, digits, - or ., and begin and end with a letter or digit',
    ],
  ],
  [
    'a namespace with a dot',
    object(EVERY, { metadata: { name: 'a', namespace: 'a.b' } }),
    ['metadata.namespace: "a.b": must be a DNS label: lower-case letters, digits and -'],
  ],
  [
    'an annotation that is no text',
    object(EVERY, { metadata: { name: 'a', annotations: { x: true } } }),
    ['metadata.annotations.x: true: must be a text: put it in quotes'],
  ],
  ['no spec', object(undefined), ['spec: is required']],
  ['a spec that is a text', object('x'), ['spec: "x": must be a map of fields']],
  [
    'an unknown field at the top',
    object(EVERY, { specs: {} }),
    ['specs: is not a field: did you mean spec?'],
  ],
];
for (const [title, value, expected] of ENVELOPES) {
  test(`an object with ${title} is refused`, () => {
    assert.deepEqual(messages(value), expected);
  });
}

for (const value of [null, undefined, 5, 'x', [], true]) {
  test(`${JSON.stringify(value)} is no object`, () => {
    assert.equal(messages(value).length, 1);
  });
}

test('defaults are applied, and nothing else is added', () => {
  assert.deepEqual(parsed(object(EVERY)).spec, {
    task: 'a',
    every: '30s',
    suspend: false,
    concurrencyPolicy: 'Forbid',
    missedRunPolicy: 'Latest',
  });
});

test('All is taken with Allow', () => {
  assert.equal(
    parsed(object({ ...EVERY, missedRunPolicy: 'All', concurrencyPolicy: 'Allow', maxCatchUp: 7 })).spec
      .maxCatchUp,
    7,
  );
});

test('an object of an API server may have fields that we do not know', () => {
  const served = object(
    { ...EVERY, fieldOfNextYear: 1 },
    { metadata: { name: 'x', uid: 'u', generation: 3, newField: {} } },
  );
  assert.deepEqual(parsed(served, 'ignore').metadata, { name: 'x', uid: 'u', generation: 3 });
  assert.equal(messages(served).length, 2);
});

test('the output of kubectl get -o yaml is a valid object', () => {
  const metadata = {
    name: 'x',
    namespace: 'team-a',
    uid: 'u',
    resourceVersion: '1',
    generation: 2,
    creationTimestamp: '2026-01-01T00:00:00Z',
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    managedFields: [{ manager: 'kubectl' }],
    ownerReferences: [{ kind: 'Other', name: 'y' }],
    deletionTimestamp: '2026-01-02T00:00:00Z',
    finalizers: ['example.com/wait'],
  };
  assert.equal(
    parsed(object(EVERY, { metadata, status: { observedGeneration: 2 } })).status?.observedGeneration,
    2,
  );
});

test('a status that cannot be read stops nothing', () => {
  assert.equal(parsed(object(EVERY, { status: { conditions: 'broken' } })).status, undefined);
});
