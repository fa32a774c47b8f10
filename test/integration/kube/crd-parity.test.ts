/** Random specs, told to a real API server and to the parser of files: what the server refuses no file may say either. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { parseScheduledTask } from '../../../src/resource/scheduled-task.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { CRON, EVERY, RULE_CASES, type Spec } from './spec-cases.ts';

const SPECS = 600;
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** Values of each field: all that stand in the table of rules, and some at the edges of types and bounds. */
const WHOLE = [
  -1,
  0,
  1,
  100,
  101,
  1_000,
  1_001,
  86_400,
  86_401,
  604_800,
  604_801,
  2 ** 31,
  2 ** 53 - 1,
  1.5,
  '1',
];
const EDGES: Readonly<Record<string, readonly unknown[]>> = {
  startTime: [
    '2026-02-29T00:00:00Z',
    '2026-01-01T23:59:60Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01',
    '9999-12-31T23:59:59Z',
  ],
  endTime: [
    '2024-02-29T00:00:00Z',
    '2026-01-01T00:00:00-00:00',
    '2026-01-01T00:00Z',
    '',
    '0000-01-01T00:00:00Z',
    [],
  ],
  schedule: [
    '@yearly',
    '@yearly ',
    '60 * * * *',
    '* * * * *\r',
    '１ * * * *',
    'tz=utc * * * * *',
    `${'1,'.repeat(62)}1 * * *`,
  ],
  every: ['00030s', '99999h', '1s ', '1ms1h', '１s', 'PT1S'],
  suspend: [true, false, 'true', 0],
  concurrencyPolicy: ['Allow', 'Forbid', 'Replace', 'allow', ''],
  missedRunPolicy: ['Latest', 'Skip', 'All', 'all'],
  priority: ['High', 'Medium', 'Low', 'high'],
  startingDeadlineSeconds: WHOLE,
  maxCatchUp: WHOLE,
  timeoutSeconds: WHOLE,
  retry: WHOLE.flatMap((value) => [{ attempts: value }, { backoffSeconds: value, maxBackoffSeconds: 1_000 }]),
  params: [{}, { a: null }, { a: [1, { b: null }] }, [], 'x', 5],
};
const valuesOf = (field: string): readonly unknown[] => [
  ...RULE_CASES.flatMap(({ taken, refused }) => [...taken, ...refused.map(([spec]) => spec)])
    .filter((spec) => Object.hasOwn(spec, field))
    .map((spec: Spec) => spec[field]),
  ...(EDGES[field] ?? []),
];
const FIELDS = [
  ...['task', 'schedule', 'every', 'timeZone', 'offset', 'jitter', 'startTime', 'endTime', 'queue'],
  ...['suspend', 'concurrencyPolicy', 'missedRunPolicy', 'priority', 'startingDeadlineSeconds'],
  ...['maxCatchUp', 'timeoutSeconds', 'retry', 'params'],
];

const oneField = fc
  .constantFrom(...FIELDS)
  .chain((field) => fc.constantFrom(...valuesOf(field)).map((value): Spec => ({ [field]: value })));
/** A good spec with one to three fields set to something. */
const someSpec = fc
  .tuple(
    fc.constantFrom<Spec>(CRON, EVERY, { ...EVERY, every: '24h' }),
    fc.array(oneField, { minLength: 1, maxLength: 3 }),
  )
  .map(([base, changes]): Spec => changes.reduce((spec, change) => ({ ...spec, ...change }), base));

let plane: ControlPlane;
before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd();
});
after(async () => {
  await plane[Symbol.asyncDispose]();
});

interface Answer {
  readonly taken: boolean;
  readonly text: string;
}

/** One connection for all: kubectl would take a minute for them. */
function create(agent: Agent, token: string, namespace: string, value: object): Promise<Answer> {
  const path = `/apis/tidemill.dev/v1alpha1/namespaces/${namespace}/scheduledtasks?dryRun=All&fieldValidation=Strict`;
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const call = request(plane.url + path, { agent, method: 'POST', headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        resolve({ taken: response.statusCode === 201, text });
      });
    });
    call.on('error', reject);
    call.end(JSON.stringify(value));
  });
}

const mayCreate = (namespace: string): readonly object[] => [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { namespace, name: 'parity' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'parity', namespace }],
  },
];

test('the API server and the parser of files judge alike', async (t) => {
  const namespace = await plane.namespace();
  const { token } = await plane.serviceAccount(namespace, 'parity', mayCreate(namespace));
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: await readFile(plane.caFile) });
  const differences: string[] = [];
  const count = { taken: 0, refused: 0 };
  const left = fc.sample(someSpec, { numRuns: SPECS, seed: SEED });
  const worker = async (): Promise<void> => {
    for (let spec = left.pop(); spec !== undefined; spec = left.pop()) {
      const object = {
        apiVersion: 'tidemill.dev/v1alpha1',
        kind: 'ScheduledTask',
        metadata: { name: 'x' },
        spec,
      };
      const { taken, text } = await create(agent, token, namespace, object);
      count[taken ? 'taken' : 'refused'] += 1;
      const ours = parseScheduledTask(object, 'refuse');
      if (taken !== (ours.kind === 'object'))
        differences.push(
          `${JSON.stringify(spec)}: server: ${taken ? 'taken' : text}; file: ${JSON.stringify(ours)}`,
        );
    }
  };
  try {
    await Promise.all([worker(), worker(), worker(), worker()]);
  } finally {
    agent.destroy();
  }
  t.diagnostic(`seed ${SEED}: ${count.taken} taken, ${count.refused} refused by both`);
  assert.deepEqual(differences, [], `SEED=${SEED}`);
  assert.ok(count.taken > SPECS / 20 && count.refused > SPECS / 4, JSON.stringify(count));
});
