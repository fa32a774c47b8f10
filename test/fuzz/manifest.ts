/** YAML files with objects in them. */
import assert from 'node:assert/strict';
import { parseManifests } from '../../src/resource/manifest.ts';
import { isQueueName, isTaskName } from '../../src/task/names.ts';
import { assertPlain } from '../corpus/case.ts';
import type { RandomSource } from '../support/random.ts';
import { oneOf, some, spoil } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

const TIMINGS: readonly string[] = [
  'schedule: "*/5 * * * *"',
  'schedule: "@daily"\n  timeZone: Europe/Rome',
  'every: 10s',
  'every: 500ms\n  jitter: 100ms',
  'every: 1h\n  offset: 2s',
];
/** Each at most once, and with each of the timings. */
const FIELDS: readonly string[] = [
  'suspend: true',
  'queue: reports',
  'priority: High',
  'missedRunPolicy: Skip',
  'concurrencyPolicy: Allow',
  'startingDeadlineSeconds: 30',
  'startTime: "2026-01-01T00:00:00Z"',
  'endTime: 2027-01-01T00:00:00Z',
  'timeoutSeconds: 5',
  'retry: { attempts: 3, backoff: 1s }',
];
const PARAMS: readonly string[] = [
  'params: {}',
  'params: { url: "https://example.org", n: 1, list: [1, 2, { a: b }] }',
  'params: { a: &p { b: 1 }, c: *p }',
  'params: &p { a: 1, b: [*p] }',
  'params:\n    a: !!binary aGk=\n    ? b\n    : - c\n      - d: |\n          text\n        e: >-\n          folded',
];
const METADATA = ['name: x', 'name: x, namespace: team-a', 'name: y, annotations: { a: "1" }'];

function document(random: RandomSource): string {
  const kind = random.next() < 0.9 ? 'ScheduledTask' : 'Deployment';
  const fields = [
    oneOf(random, 'task: fetch-data', 'task: a'),
    oneOf(random, ...TIMINGS),
    ...FIELDS.filter(() => random.next() < 0.2),
    ...(random.next() < 0.5 ? [oneOf(random, ...PARAMS)] : []),
  ];
  return [
    'apiVersion: tidemill.dev/v1alpha1',
    `kind: ${kind}`,
    `metadata: { ${oneOf(random, ...METADATA)} }`,
    'spec:',
    ...fields.map((text) => `  ${text}`),
  ].join('\n');
}

export const manifestTarget: FuzzTarget = {
  name: 'manifest',
  draw: (random) => spoil(some(random, 1, 2, () => document(random)).join('\n---\n'), random),
  check: (input) => {
    const { objects, problems, warnings } = parseManifests(input, 'f.yaml');
    for (const { message } of [...problems, ...warnings]) assertPlain(message);
    for (const { name, namespace, spec } of objects) {
      assert.match(name, /^[a-z0-9.-]+$/);
      assert.ok(isQueueName(namespace) && isTaskName(spec.task));
      JSON.stringify(spec);
    }
    assert.ok(problems.length <= 101);
    return objects.length > 0;
  },
};
