/** What the files of the charts owe each other and the code, without Helm. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { valueRows } from '../../.ci/chart-readme.ts';
import { CHART_SCHEMAS, type SchemaNode } from '../../.ci/chart-schemas.ts';
import { parseScheduledTask } from '../../src/resource/scheduled-task.ts';
import { CHARTS, chartFolder } from '../support/helm.ts';
import { ROOT } from '../support/markdown.ts';

const read = (...path: readonly string[]): string => readFileSync(join(ROOT, ...path), 'utf8');
const { version } = z.object({ version: z.string() }).parse(JSON.parse(read('package.json')));
const ChartYaml = z.looseObject({
  version: z.string(),
  appVersion: z.string(),
  kubeVersion: z.string(),
  annotations: z.record(z.string(), z.string()),
});
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where the schema is closed, keys of values and of schema that the other side lacks. */
function strays(schema: SchemaNode, value: unknown, at: string): readonly string[] {
  if (schema['additionalProperties'] !== false || !isRecord(value) || !isRecord(schema['properties']))
    return [];
  const properties = schema['properties'];
  const absent = Object.keys(properties).filter((key) => !(key in value) && !OPTIONAL.has(`${at}${key}`));
  const unknown = Object.keys(value).filter((key) => !(key in properties));
  const below = Object.entries(value).flatMap(([key, child]) => {
    const node = properties[key];
    return isRecord(node) ? strays(node, child, `${at}${key}.`) : [];
  });
  return [...[...absent, ...unknown].map((key) => `${at}${key}`), ...below];
}
/** What the schema knows and values.yaml leaves to Helm, Kubernetes or a comment. */
const OPTIONAL: ReadonlySet<string> = new Set([
  'global',
  ...['resources.', 'controller.resources.', 'redis.dev.resources.'].map((path) => `${path}claims`),
  ...[
    'lease',
    'heartbeat',
    'retainSucceeded',
    'retainSucceededBytes',
    'retainFailed',
    'retainFailedBytes',
  ].map((name) => `settings.${name}`),
  ...['maxPending', 'maxPendingPerSchedule', 'maxDeliveries'].map((name) => `settings.${name}`),
  ...['childRestricted', 'childRead', 'childWrite', 'childAllow'].map((name) => `settings.${name}`),
]);

/** Leaves of closed maps: what a user may set one by one. */
function leaves(schema: SchemaNode, value: unknown, at: string): readonly string[] {
  if (schema['additionalProperties'] !== false || !isRecord(value) || !isRecord(schema['properties']))
    return [at];
  const properties = schema['properties'];
  return Object.entries(value).flatMap(([key, child]) => {
    const node = properties[key];
    return leaves(isRecord(node) ? node : {}, child, at === '' ? key : `${at}.${key}`);
  });
}

for (const chart of CHARTS) {
  describe(chart, () => {
    const values: unknown = parse(read('helm', chart, 'values.yaml'));

    test('has the version of the package', () => {
      const meta = ChartYaml.parse(parse(read('helm', chart, 'Chart.yaml')));
      assert.equal(meta.appVersion, version);
      assert.equal(meta.version, version);
      assert.equal(meta.kubeVersion, '>=1.33.0-0');
      const images = meta.annotations['artifacthub.io/images'];
      if (images !== undefined)
        assert.match(images, new RegExp(`tidemill:${version.replaceAll('.', '\\.')}\n`));
    });

    test('has a schema with exactly the values that there are', () => {
      assert.deepEqual(strays(CHART_SCHEMAS[chart], values, ''), []);
    });

    test('explains each value by a comment', () => {
      const explained = valueRows(read('helm', chart, 'values.yaml')).map(({ path }) => path);
      const told = (leaf: string): boolean =>
        explained.some((path) => leaf === path || leaf.startsWith(`${path}.`) || path.startsWith(`${leaf}.`));
      assert.deepEqual(
        leaves(CHART_SCHEMAS[chart], values, '').filter((leaf) => !told(leaf)),
        [],
      );
      for (const { path, meaning } of valueRows(read('helm', chart, 'values.yaml')))
        assert.match(meaning, /[.)]$/, `${path}: ${meaning}`);
    });

    test('renders no ScheduledTask: at the first install the API server does not know them yet', () => {
      for (const file of readdirSync(join(chartFolder(chart), 'templates'), {
        recursive: true,
        encoding: 'utf8',
      }))
        if (file.endsWith('.yaml'))
          assert.doesNotMatch(read('helm', chart, 'templates', file), /^kind: ScheduledTask$/m, file);
    });
  });
}

describe('both charts', () => {
  test('hold the same files for what they do alike', () => {
    for (const file of ['_redis.tpl', '_pod.tpl', 'redis-secret.yaml'])
      assert.equal(
        read('helm', 'tidemill', 'templates', file),
        read('helm', 'tidemill-worker', 'templates', file),
        file,
      );
  });

  test('show an example that is a ScheduledTask', () => {
    const { annotations } = ChartYaml.parse(parse(read('helm', 'tidemill', 'Chart.yaml')));
    const examples: unknown = parse(annotations['artifacthub.io/crdsExamples'] ?? '');
    assert.ok(Array.isArray(examples) && examples.length > 0);
    for (const example of z.array(z.unknown()).parse(examples)) {
      const parsed = parseScheduledTask(example, 'refuse');
      assert.equal(parsed.kind, 'object', JSON.stringify(parsed));
    }
  });
});
