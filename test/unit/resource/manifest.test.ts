import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseManifests } from '../../../src/resource/manifest.ts';

const manifest = (name: string, spec: string): string =>
  `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata: { name: ${name} }\nspec: ${spec}\n`;
const good = (name: string): string => manifest(name, '{ task: a, every: 1s }');
const read = (text: string) => parseManifests(text, 'jobs.yaml');
const problems = (text: string): readonly string[] =>
  read(text).problems.map(({ at, message }) => `${at} ${message}`);

test('every document of a file is an object, with its namespace, name and line', () => {
  const text = `# comment\n${good('a')}---\n${good('b').replace('{ name: b }', '{ name: b, namespace: team, annotations: { k: v } }')}`;
  const { objects, ...rest } = read(text);
  assert.deepEqual(rest, { problems: [], warnings: [] });
  assert.deepEqual(
    objects.map(({ namespace, name, at, annotations, spec }) => [
      namespace,
      name,
      at,
      annotations,
      spec.every,
    ]),
    [
      ['default', 'a', 'jobs.yaml:2', undefined, '1s'],
      ['team', 'b', 'jobs.yaml:7', { k: 'v' }, '1s'],
    ],
  );
});

test('objects that name no namespace are in the one given, as with kubectl, and the others stay where they are', () => {
  const text = `${good('a')}---\n${good('b').replace('{ name: b }', '{ name: b, namespace: team }')}`;
  const { objects } = parseManifests(text, 'jobs.yaml', { defaultNamespace: 'sales' });
  assert.deepEqual(
    objects.map(({ namespace, name }) => `${namespace}/${name}`),
    ['sales/a', 'team/b'],
  );
});

test('JSON is YAML: a file of either kind is read', () => {
  const { objects } = read(
    JSON.stringify({
      apiVersion: 'tidemill.dev/v1alpha1',
      kind: 'ScheduledTask',
      metadata: { name: 'j' },
      spec: { task: 'a', schedule: '@daily' },
    }),
  );
  assert.equal(objects[0]?.spec.schedule, '@daily');
});

test('one bad object does not hide the others, and each problem names its line', () => {
  const text = [
    good('first'),
    manifest('second', '\n  task: a\n  schedule: "60 * * * *"'),
    good('third'),
    'kind: {\n',
    good('fourth'),
  ].join('---\n');
  const { objects } = read(text);
  assert.deepEqual(
    objects.map(({ name }) => name),
    ['first', 'third', 'fourth'],
  );
  const found = problems(text);
  assert.match(found[0]!, /^jobs\.yaml:1[89] is not valid YAML/);
  assert.equal(found.at(-1), 'jobs.yaml:11 spec.schedule: minute "60" must be a number from 0 to 59');
});

const SCHEDULES: readonly (readonly [spec: string, expected: RegExp])[] = [
  ['{ task: a, schedule: "0 0 30 2 *" }', /^jobs\.yaml:4 spec\.schedule: .*never fires/],
  [
    '\n  task: a\n  schedule: "@daily"\n  timeZone: Foo/Bar',
    /^jobs\.yaml:7 spec\.timeZone: time zone "Foo\/Bar" is not an IANA name/,
  ],
  ['\n  task: a\n  every: 1d', /^jobs\.yaml:6 spec\.every: "1d": must be a duration/],
  [
    '\n  task: a\n  every: 1s\n  retry:\n    attempts: 0',
    /^jobs\.yaml:8 spec\.retry\.attempts: 0: must be at least 1/,
  ],
  [
    '\n  task: a\n  every: 1s\n  retry:\n    atempts: 1',
    /^jobs\.yaml:8 spec\.retry\.atempts: is not a field: did you mean attempts\?/,
  ],
  ['\n  task: a\n  schedule: */5 * * * *', /^jobs\.yaml:6 is not valid YAML: .*needs quotes/],
  [
    '\n  task: a\n  task: b\n  every: 1s',
    /^jobs\.yaml:6 "task" stands twice in the same map, first in line 5: keep one/,
  ],
  [
    '\n  task: a\n  every: 1s\n  params:\n    id: 9007199254740993',
    /^jobs\.yaml:8 9007199254740993 is a whole number beyond 2\^53/,
  ],
  [
    '\n  task: a\n  every: 1s\n  params:\n    x: .nan',
    /^jobs\.yaml:7 spec\.params: x must be a finite number/,
  ],
  [
    '\n  task: a\n  every: 1s\n  params:\n    x: [{ __proto__: 1 }]',
    /^jobs\.yaml:8 spec\.params\.x\[0\]: must not have the key __proto__/,
  ],
  ['\n  task: a\n  every: 1s\n  suspend: yes', /^jobs\.yaml:7 spec\.suspend: "yes": must be true or false/],
  ['', /^jobs\.yaml:4 spec: null: must be a map of fields/],
];
for (const [spec, expected] of SCHEDULES) {
  test(`the spec ${JSON.stringify(spec)} is refused at its line`, () => {
    const found = problems(manifest('x', spec));
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, expected);
  });
}

test('objects of other kinds are left out with a warning, which is no problem', () => {
  const {
    objects,
    problems: wrong,
    warnings,
  } = read(`apiVersion: v1\nkind: ConfigMap\ndata: { a: b }\n---\n${good('x')}`);
  assert.equal(objects.length, 1);
  assert.deepEqual(wrong, []);
  assert.deepEqual(warnings, [
    { at: 'jobs.yaml:1', message: 'kind: "ConfigMap" of "v1" is not for Tidemill: left out' },
  ]);
});

for (const [apiVersion, kind] of [
  ['tidemill.dev/v2', 'ScheduledTask'],
  ['tidemill.dev/v1alpha1', 'ScheduleTask'],
  ['batch/v1', 'ScheduledTask'],
] as const) {
  test(`${kind} of ${apiVersion} is meant for Tidemill, and so refused instead of left out`, () => {
    const { problems: wrong, warnings } = read(
      good('x').replace('tidemill.dev/v1alpha1', apiVersion).replace('ScheduledTask', kind),
    );
    assert.equal(wrong.length, 1);
    assert.deepEqual(warnings, []);
  });
}

test('a document that is no object is refused', () => {
  assert.match(problems('just text')[0]!, /^jobs\.yaml:1 object: "just text": must be a Kubernetes object/);
  assert.equal(problems('- 1\n- 2').length, 1);
  assert.equal(problems('kind: ScheduledTask').length, 3);
  assert.equal(problems('metadata: { name: x }').length, 3);
});

test('empty files, empty documents and comments are nothing', () => {
  for (const text of ['', '\n', '---\n---\n', '# only a comment\n']) {
    assert.deepEqual(read(text), { objects: [], problems: [], warnings: [] });
  }
});

test('a List counts as the objects in it, with their lines', () => {
  const item = (name: string, every: string): string =>
    `- apiVersion: tidemill.dev/v1alpha1\n  kind: ScheduledTask\n  metadata: { name: ${name} }\n  spec:\n    task: a\n    every: ${every}\n`;
  for (const head of [
    'apiVersion: v1\nkind: List',
    'apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTaskList',
  ]) {
    const { objects, problems: wrong } = read(`${head}\nitems:\n${item('a', '1s')}${item('b', '1d')}`);
    assert.deepEqual(
      objects.map(({ name, at }) => [name, at]),
      [['a', 'jobs.yaml:4']],
    );
    assert.deepEqual(
      wrong.map(({ at }) => at),
      ['jobs.yaml:15'],
    );
  }
});

test('two objects of one name in one namespace are a problem; the first is kept', () => {
  const { objects, problems: wrong } = read(`${good('x')}---\n${good('x').replace('1s', '2s')}`);
  assert.equal(objects.length, 1);
  assert.equal(objects[0]?.spec.every, '1s');
  assert.deepEqual(wrong, [
    { at: 'jobs.yaml:8', message: 'metadata.name: default/x is defined twice, first at jobs.yaml:1' },
  ]);
});

test('a-b/c and a/b-c are two objects', () => {
  const named = (namespace: string, name: string): string =>
    good('x').replace('{ name: x }', `{ name: ${name}, namespace: ${namespace} }`);
  assert.equal(read(`${named('a-b', 'c')}---\n${named('a', 'b-c')}`).objects.length, 2);
});

test('aliases are followed, bombs of them are refused', () => {
  const shared = manifest('x', '{ task: a, every: 1s, params: { a: &p { k: 1 }, b: *p } }');
  assert.deepEqual(read(shared).objects[0]?.spec.params, { a: { k: 1 }, b: { k: 1 } });
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map(
      (name, index) =>
        `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[index]!}`).join(',')}]`,
    ),
  ];
  const { objects, problems: wrong } = read(`${bomb.join('\n')}\n---\n${good('x')}`);
  assert.equal(objects.length, 1);
  assert.match(wrong[0]!.message, /too many aliases/);
});

test('deep, long and broken files end in a few problems and in time', () => {
  const startMs = performance.now();
  const cases: readonly string[] = [
    `a: ${'['.repeat(5_000)}`,
    `a: ${'{a: '.repeat(5_000)}`,
    '- '.repeat(5_000),
    Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    '"'.repeat(20_000),
    '\u0000\u0001\u0002'.repeat(1_000),
    manifest(
      'x',
      `{ task: a, every: 1s, params: { ${Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join(', ')} } }`,
    ),
  ];
  for (const text of cases) {
    const { objects, problems: wrong } = read(text);
    assert.equal(objects.length, 0);
    assert.ok(wrong.length > 0 && wrong.length <= 20, `${wrong.length} problems`);
    assert.ok(wrong.every(({ message }) => message.length < 1_000));
  }
  assert.ok(performance.now() - startMs < 20_000);
});

test('a file over 2 MiB is refused without being parsed', () => {
  assert.match(
    problems(`# ${'x'.repeat(2 * 1024 * 1024)}`)[0]!,
    /^jobs\.yaml must be at most 2 MiB, not 3 MiB/,
  );
});

test('no text makes the parser throw', () => {
  const piece = fc.constantFrom(
    '---\n',
    'apiVersion: ',
    'tidemill.dev/v1alpha1\n',
    'kind: ScheduledTask\n',
    'metadata:\n',
    '  name: x\n',
    'spec:\n',
    '  every: 1s\n',
    '  task: a\n',
    '*a',
    '&a ',
    '!!x ',
    '<<: ',
    '[',
    '{',
    '}',
    '? ',
    '- ',
    '"',
    "'",
    '\t',
    '\u0000',
    '|\n',
    '%YAML 9.9\n',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 30 }), (parts) =>
      Array.isArray(read(parts.join('')).problems),
    ),
    { numRuns: 1_000 },
  );
});
