import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { crd, renderCrd } from '../../../src/resource/crd.ts';
import { structural } from '../../../src/resource/structural.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
type Json = Readonly<Record<string, unknown>>;
const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

test('the CRD in crds/ is what the generator makes now', () => {
  assert.equal(readFileSync(resolve(ROOT, 'crds/tidemill.dev_scheduledtasks.yaml'), 'utf8'), renderCrd());
});

test('the YAML of the CRD reads back as the same object', () => {
  assert.deepEqual(parse(renderCrd()), JSON.parse(JSON.stringify(crd())));
});

/** Every field below a schema, as path and schema. Metadata belongs to the API server. */
function fieldsOf(schema: Json, path: string): [string, Json][] {
  const { properties, items } = schema;
  const named = isJson(properties) ? Object.entries(properties) : [];
  return [...named, ...(items === undefined ? [] : [['[]', items] as const])].flatMap(([name, field]) => {
    if (!isJson(field) || (path === '' && name === 'metadata')) return [];
    const fieldPath = `${path}.${name}`;
    return [[fieldPath, field] as [string, Json], ...fieldsOf(field, fieldPath)];
  });
}

function rootSchema(): Json {
  const { spec } = JSON.parse(JSON.stringify(crd())) as {
    spec: { versions: { schema: { openAPIV3Schema: Json } }[] };
  };
  return spec.versions[0]!.schema.openAPIV3Schema;
}

test('every field has a description', () => {
  const fields = fieldsOf(rootSchema(), '');
  assert.ok(fields.length > 60);
  const bare = fields.filter(
    ([, { description }]) => typeof description !== 'string' || description.length < 4,
  );
  assert.deepEqual(
    bare.map(([path]) => path),
    [],
  );
});

test('every text that a CEL rule looks at is bounded, and no pattern needs more than RE2', () => {
  for (const [path, field] of fieldsOf(rootSchema(), '')) {
    if (field['x-kubernetes-validations'] === undefined || field['type'] !== 'string') continue;
    if (field['format'] === 'date-time') continue; // bounded by its form
    assert.equal(typeof field['maxLength'], 'number', path);
  }
  assert.doesNotMatch(renderCrd(), /\(\?[=!<]|\\\//);
});

const NOT_STRUCTURAL: readonly (readonly [what: string, schema: unknown, message: RegExp])[] = [
  ['a reference', { $ref: '#/x' }, /object has no type/],
  ['a union', { anyOf: [{ type: 'string' }, { type: 'number' }] }, /has no type/],
  [
    'a union beside a type',
    { type: 'object', properties: { a: { type: 'string', anyOf: [] } } },
    /object\.a has anyOf/,
  ],
  ['a pattern', { type: 'string', pattern: '^(?=a)' }, /has pattern/],
  [
    'a closed object',
    { type: 'object', properties: {}, additionalProperties: false },
    /additionalProperties/,
  ],
  ['a map of texts', { type: 'object', additionalProperties: { type: 'string' } }, /additionalProperties/],
  [
    'an open object with fields',
    { type: 'object', properties: {}, additionalProperties: {} },
    /additionalProperties/,
  ],
  ['anything', { type: 'object', properties: { a: {} } }, /object\.a has no type/],
  ['a list of anything', { type: 'array', items: {} }, /object\[\] has no type/],
  ['a tuple', { type: 'array', items: [{ type: 'string' }] }, /object\[\] is no schema/],
];
for (const [what, schema, message] of NOT_STRUCTURAL) {
  test(`the generator refuses ${what}, which no API server takes`, () => {
    assert.throws(
      () => structural(schema),
      (error: unknown) =>
        error instanceof TidemillError && error.code === 'INTERNAL' && message.test(error.message),
    );
  });
}
