/** YAML and manifests that are hostile or wrong: each costs a bounded message, and no neighbour. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ManifestFiles } from '../../src/controller/manifest-files.ts';
import { parseManifests } from '../../src/resource/manifest.ts';
import { assertPlain, assertUnpolluted } from './case.ts';

const HEAD = 'apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\n';
const withSpec = (spec: string): string => `${HEAD}metadata: { name: x }\nspec:\n${spec}`;
const GOOD = withSpec('  task: a\n  every: 1s\n');
const field = (text: string): string => withSpec(`  task: a\n  every: 1s\n  ${text}`);
const params = (text: string): string => field(`params: ${text}`);
const metadata = (text: string): string => `${HEAD}metadata: { ${text} }\nspec: { task: a, every: 1s }`;
const BOMB = ['a: &a [x, x, x, x, x, x, x, x, x]']
  .concat(Array.from('abcdefgh', (name, at) => `n${at}: &${'bcdefghi'[at]} [${`*${name},`.repeat(9)}]`))
  .join('\n');

/** Refused: text of the file, and the first problem. */
const REFUSED: Readonly<Record<string, readonly [text: string, message: RegExp]>> = {
  'a bomb of aliases': [BOMB, /has too many aliases/],
  'a bomb in params': [params(`\n    ${BOMB.replaceAll('\n', '\n    ')}`), /has too many aliases/],
  'an alias of itself': [params('&p { a: *p }'), /spec\.params: must not be nested deeper than 32 levels$/],
  'params of 1.4 MB': [
    params(`{ a: "${'x'.repeat(1_400_000)}" }`),
    /must be at most 256 KiB as JSON, not 1368 KiB/,
  ],
  '1,000 keys': [
    params(`\n${Array.from({ length: 1_000 }, (_, at) => `    k${at}: 1`).join('\n')}`),
    /must have at most 64 keys, not 1000$/,
  ],
  'deep flow': [
    params(`{ a: ${'['.repeat(5_000)}${']'.repeat(5_000)} }`),
    /must not be nested deeper than 100 levels$/,
  ],
  'deep block': ['- '.repeat(20_000), /^f\.yaml:1 must not be nested deeper than 100 levels$/],
  'an endless tag': ['!'.repeat(100_000), /is not valid YAML: The !!!/],
  'a file of 3 MB': [`# ${'x'.repeat(3_000_000)}`, /must be at most 2 MiB, not 3 MiB: split the file$/],
  'tabs as indentation': [withSpec('\ttask: a'), /Tabs are not allowed as indentation$/],
  binary: ['\0\x01\x02\x9b31m', /^.* object: "\\u0000\\u0001\\u0002\\u009b31m": must be a Kubernetes object/],
  'NUL in a name': [withSpec('  task: "a\\0b"\n  every: 1s'), /spec\.task: "a\\u0000b": must be lower-case/],
  'an escape sequence': [withSpec('  task: "\\e[31m"\n  every: 1s'), /spec\.task: "\\u001b\[31m": must be/],
  'text that runs backwards': [withSpec('  task: "\u202ea"\n  every: 1s'), /spec\.task: "\\u202ea": must be/],
  'a merge key': [withSpec('  <<: { task: a }\n  every: 1s'), /spec\.task: is required$/],
  'a merge key by %YAML 1.1': [
    `%YAML 1.1\n---\n${withSpec('  <<: { task: a }\n  every: 1s')}`,
    /spec\.task: is required$/,
  ],
  'yes by %YAML 1.1': [
    `%YAML 1.1\n---\n${field('suspend: yes')}`,
    /spec\.suspend: "yes": must be true or false$/,
  ],
  'a tag of code': [
    withSpec('  task: !!js/function "function () {}"\n  every: 1s'),
    /spec\.task: "function \(\) \{\}": must be/,
  ],
  'a tag of Python': [
    withSpec('  task: !!python/object/apply:os.system [id]\n  every: 1s'),
    /spec\.task: must be a text$/,
  ],
  'a list as a key': [params('{ ? [a, b] : 1 }'), /a key must be a text, not a list, a map or an alias$/],
  'a key that stands twice': [
    withSpec('  task: a\n  task: b\n  every: 1s'),
    /"task" stands twice in the same map/,
  ],
  'a rounded number': [params('{ n: 9007199254740993 }'), /is a whole number beyond 2\^53/],
  'a rounded hexadecimal number': [params('{ n: 0xFFFFFFFFFFFFFFFF }'), /is a whole number beyond 2\^53/],
  infinity: [params('{ n: .inf }'), /n must be a finite number$/],
  '1e400': [params('{ n: 1e400 }'), /n must be a finite number$/],
  '__proto__ in params': [
    params('{ __proto__: { polluted: 1 } }'),
    /spec\.params: must not have the key __proto__$/,
  ],
  'constructor in params': [
    params('{ constructor: { polluted: 1 } }'),
    /spec\.params: must not have the key constructor$/,
  ],
  'prototype deep in params': [
    params('{ a: { prototype: 1 } }'),
    /spec\.params\.a: must not have the key prototype$/,
  ],
  '__proto__ of the object': [
    `${GOOD}__proto__: { polluted: 1 }`,
    /object: must not have the key __proto__$/,
  ],
  '__proto__ of the metadata': [
    metadata('name: x, __proto__: { polluted: 1 }'),
    /metadata: must not have the key __proto__$/,
  ],
  'schedule and every': [field('schedule: "@daily"'), /spec: set schedule or every, not both$/],
  neither: [withSpec('  task: a'), /spec: one of schedule or every is required$/],
  'a task with a path': [
    withSpec('  task: ../../x\n  every: 1s'),
    /spec\.task: "\.\.\/\.\.\/x": must be lower-case/,
  ],
  'a task with a URL': [
    withSpec('  task: file:///etc/passwd\n  every: 1s'),
    /spec\.task: "file:.*": must be lower-case/,
  ],
  'a task named __proto__': [
    withSpec('  task: __proto__\n  every: 1s'),
    /spec\.task: "__proto__": must be lower-case/,
  ],
  'a name of 253 characters': [
    metadata(`name: ${'a'.repeat(253)}`),
    /metadata\.name: .* must have at most 52 characters$/,
  ],
  'a namespace with a path': [
    metadata('name: x, namespace: "../a"'),
    /metadata\.namespace: "\.\.\/a": must be a DNS label/,
  ],
  'a wrong-typed suspend': [field('suspend: "yes"'), /spec\.suspend: "yes": must be true or false$/],
  'a negative deadline': [
    field('startingDeadlineSeconds: -1'),
    /startingDeadlineSeconds: -1: must be at least 1$/,
  ],
  'a huge deadline': [field('startingDeadlineSeconds: 1e308'), /must be a whole number$/],
  'an unknown priority': [
    field('priority: urgent'),
    /spec\.priority: "urgent": must be one of High, Medium, Low$/,
  ],
  'a queue that breaks out of its tag': [
    field('queue: "a}{b"'),
    /spec\.queue: "a\}\{b": must be a DNS label/,
  ],
  'an unknown field': [
    field('maxConcurrency: 1'),
    /spec\.maxConcurrency: is not a field: there are task, schedule/,
  ],
  'an annotation that is no text': [
    metadata('name: x, annotations: { tidemill.dev/run-now: true }'),
    /must be a text: put it in quotes$/,
  ],
  'an annotation whose key a terminal would obey': [
    metadata(String.raw`name: x, annotations: { "\e[31m\u202e": true }`),
    /metadata\.annotations\."\\u001b\[31m\\u202e": true: must be a text/,
  ],
  'an alias whose name a terminal would obey': [
    params('*a\u202e\x07'),
    /has too many aliases, or aliases of aliases: Unresolved alias .*a\\u202e\\u0007$/,
  ],
  'a date that does not exist': [field('startTime: "2026-02-30T00:00:00Z"'), /must be a time such as/],
  'a leap second': [field('startTime: "2016-12-31T23:59:60Z"'), /must be a time such as/],
  'a list for a spec': [`${HEAD}metadata: { name: x }\nspec: [1]`, /spec: must be a map of fields$/],
  'a text': ['hello', /object: "hello": must be a Kubernetes object/],
};
describe('a file that holds', () => {
  for (const [what, [text, message]] of Object.entries(REFUSED)) {
    test(`${what} is refused`, () => {
      const { objects, problems } = parseManifests(text, 'f.yaml');
      assert.deepEqual(objects, []);
      assert.match(`${problems[0]?.at} ${problems[0]?.message}`, message);
      for (const problem of problems) assertPlain(problem.message);
      assertUnpolluted();
    });
  }
});

/** Taken: text, and what became of the params. */
const TAKEN: Readonly<Record<string, readonly [text: string, params: unknown]>> = {
  CRLF: [params('{ a: 1 }').replaceAll('\n', '\r\n'), { a: 1 }],
  'a byte order mark': [`\ufeff${params('{ a: 1 }')}`, { a: 1 }],
  'tags of bytes, which stay text': [params('{ a: !!binary aGVsbG8= }'), { a: 'aGVsbG8=' }],
  'tags of sets, which stay maps': [params('{ a: !!set { b, c } }'), { a: { b: null, c: null } }],
  'tags of time, which stay text': [params('{ a: !!timestamp 2001-01-01 }'), { a: '2001-01-01' }],
  'dates, which stay text': [params('{ a: 2001-01-01 }'), { a: '2001-01-01' }],
  'a lone surrogate': [params('{ a: "\\ud800" }'), { a: '\ud800' }],
  'a status of the user': [`${params('{}')}\nstatus: { lastRun: junk }`, {}],
};
describe('a file with', () => {
  for (const [what, [text, expected]] of Object.entries(TAKEN)) {
    test(`${what} is read`, () => {
      const { objects, problems } = parseManifests(text, 'f.yaml');
      assert.deepEqual(problems, []);
      assert.deepEqual(objects[0]?.spec.params, expected);
    });
  }
});

test('a hundred problems are told of one file, and how many more there are', () => {
  const list = `apiVersion: v1\nkind: List\nitems: [${'1,'.repeat(5_000)}]`;
  const { problems } = parseManifests(list, 'f.yaml');
  assert.equal(problems.length, 101);
  assert.deepEqual(problems.at(-1), { at: 'f.yaml', message: '4900 more, not shown' });
});

test('thousands of unknown fields are not each compared with all that are known', () => {
  const text = field(Array.from({ length: 20_000 }, (_, at) => `f${at}: 1`).join('\n  '));
  assert.ok(parseManifests(text, 'f.yaml').problems.length < 50);
});

test('a file that is not UTF-8 is told of, and does not arrive with other characters', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-corpus-'));
  try {
    const path = join(folder, 'latin1.yaml');
    await writeFile(path, Buffer.from(params('{ a: "é" }'), 'latin1'));
    const { objects, problems } = await new ManifestFiles([folder], parseManifests).scan(0);
    assert.deepEqual(objects, []);
    assert.deepEqual(problems, [{ at: path, message: 'cannot be read: it is not UTF-8 text' }]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
