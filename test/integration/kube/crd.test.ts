/** The CRD on a real API server: taken, explained, printed, defaulted, and guarded over edits. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { parseScheduledTask } from '../../../src/resource/scheduled-task.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { kstatusOf } from '../../support/kstatus.ts';
import { codeBlocks, pages, readPage, ROOT } from '../../support/markdown.ts';

let plane: ControlPlane;
before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd();
});
after(async () => {
  await plane[Symbol.asyncDispose]();
});

const NAME = 'scheduledtasks.tidemill.dev';
const Conditions = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })) }),
});

const object = (name: string, spec: object, namespace: string): object => ({
  apiVersion: 'tidemill.dev/v1alpha1',
  kind: 'ScheduledTask',
  metadata: { name, namespace },
  spec,
});

describe('the API server', () => {
  test('has established the CRD and has nothing against it', async () => {
    const { status } = Conditions.parse(
      JSON.parse(await plane.mustKubectl(['get', 'crd', NAME, '-o', 'json'])),
    );
    const holding = status.conditions.filter((condition) => condition.status === 'True');
    assert.deepEqual(holding.map(({ type }) => type).toSorted(), ['Established', 'NamesAccepted']);
  });

  test('takes the same CRD again without a change', async () => {
    const generation = () => plane.mustKubectl(['get', 'crd', NAME, '-o', 'jsonpath={.metadata.generation}']);
    const first = await generation();
    await plane.applyCrd();
    assert.equal(await generation(), first);
  });

  test('serves it under its short name and category, and only there', async () => {
    const listed = await plane.mustKubectl(['api-resources', '--api-group=tidemill.dev', '-o', 'wide']);
    const [, line = ''] = listed.trim().split('\n');
    assert.match(line, /^scheduledtasks +st +tidemill\.dev\/v1alpha1 +true +ScheduledTask .* tidemill$/);
  });
});

describe('a stored object', () => {
  let namespace: string;
  before(async () => {
    namespace = await plane.namespace();
  });
  const read = (name: string): Promise<unknown> =>
    plane
      .mustKubectl(['get', 'st', name, '-n', namespace, '-o', 'json'])
      .then((text): unknown => JSON.parse(text));
  const patch = (name: string, value: object, ...more: readonly string[]) =>
    plane.kubectl([
      ...['patch', 'st', name, '-n', namespace, '--type=merge', '-p', JSON.stringify(value)],
      ...more,
    ]);

  test('has its defaults, and keeps whatever params hold', async () => {
    const params = { text: 'a', list: [1, null], map: { nothing: null } };
    await plane.apply([object('defaults', { task: 'a', every: '30s', params }, namespace)]);
    assert.deepEqual(Reflect.get(Object(await read('defaults')), 'spec'), {
      task: 'a',
      every: '30s',
      params,
      suspend: false,
      concurrencyPolicy: 'Forbid',
      missedRunPolicy: 'Latest',
    });
  });

  test('that no controller has seen is in progress for tools, and for kubectl wait', async () => {
    await plane.apply([object('unseen', { task: 'a', every: '30s' }, namespace)]);
    const parsed = parseScheduledTask(await read('unseen'), 'refuse');
    assert.ok(parsed.kind === 'object', JSON.stringify(parsed));
    assert.equal(parsed.object.status?.observedGeneration, -1);
    assert.equal(kstatusOf(parsed.object), 'InProgress');
    const wait = ['wait', '-n', namespace, 'st/unseen', '--for=condition=Ready', '--timeout=100ms'];
    assert.match((await plane.kubectl(wait)).stderr, /timed out waiting for the condition/);
  });

  test('is its own manifest: what kubectl prints of it can be applied', async () => {
    await plane.apply([
      object('printed', { task: 'a', schedule: '@daily', timeZone: 'Europe/Rome' }, namespace),
    ]);
    const printed = JSON.stringify(await read('printed'));
    await plane.mustKubectl(['replace', '--dry-run=server', '-f', '-'], printed);
  });

  test('cannot move to another queue, but may name the one it is in', async () => {
    const cannot =
      'spec.queue: Forbidden: cannot change: delete the object and create it again to move it to another queue';
    await plane.apply([object('still', { task: 'a', every: '30s' }, namespace)]);
    assert.ok((await patch('still', { spec: { queue: 'other' } })).stderr.includes(cannot));
    assert.equal((await patch('still', { spec: { queue: 'default' } })).code, 0);
    assert.equal((await patch('still', { spec: { queue: null } })).code, 0);
    await plane.apply([object('elsewhere', { task: 'a', every: '30s', queue: 'other' }, namespace)]);
    for (const queue of ['default', null])
      assert.ok((await patch('elsewhere', { spec: { queue } })).stderr.includes(cannot));
    assert.equal((await patch('elsewhere', { spec: { queue: 'other' } })).code, 0);
  });

  test('may change everything else in place, from cron to every and back', async () => {
    await plane.apply([object('edited', { task: 'a', schedule: '@daily', timeZone: 'Etc/UTC' }, namespace)]);
    const toEvery = {
      task: 'b',
      schedule: null,
      timeZone: null,
      every: '5s',
      offset: '1s',
      priority: 'High',
    };
    assert.equal((await patch('edited', { spec: toEvery })).code, 0);
    const back = { every: null, offset: null, schedule: '0 * * * *', suspend: true, retry: { attempts: 2 } };
    assert.equal((await patch('edited', { spec: back })).code, 0);
  });

  test('gets a new generation for its spec only, and a status only through its own door', async () => {
    await plane.apply([object('doors', { task: 'a', every: '30s' }, namespace)]);
    const generation = async () =>
      z.object({ metadata: z.object({ generation: z.int() }) }).parse(await read('doors'));
    await patch('doors', {
      metadata: { annotations: { 'tidemill.dev/run-now': '1' } },
      status: { active: 5 },
    });
    await patch('doors', { spec: { every: '1s' }, status: { active: 6 } }, '--subresource=status');
    assert.equal((await generation()).metadata.generation, 1);
    const { status, spec } = z
      .object({ status: z.object({ active: z.int() }), spec: z.object({ every: z.string() }) })
      .parse(await read('doors'));
    assert.deepEqual([status.active, spec.every], [6, '30s']);
    await patch('doors', { spec: { every: '1s' } });
    assert.equal((await generation()).metadata.generation, 2);
  });

  test('is found by task, queue and suspend', async () => {
    const other = await plane.namespace();
    await plane.apply([
      object('a', { task: 'reports', every: '30s', queue: 'slow' }, other),
      object('b', { task: 'reports', every: '30s', suspend: true }, other),
      object('c', { task: 'mail', every: '30s' }, other),
    ]);
    const found = (selector: string): Promise<string> =>
      plane.mustKubectl(['get', 'st', '-n', other, '-o', 'name', '--field-selector', selector]);
    const names = async (selector: string) => (await found(selector)).match(/(?<=\/).+$/gm)?.join(' ');
    assert.equal(await names('spec.task=reports'), 'a b');
    assert.equal(await names('spec.queue=slow'), 'a');
    assert.equal(await names('spec.queue='), 'b c'); // unset: the default queue
    assert.equal(await names('spec.suspend=true'), 'b');
  });
});

describe('kubectl get', () => {
  const SCHEDULED = { type: 'Ready', status: 'True', reason: 'Scheduled' };
  const STALLED = ['Ready', 'Stalled'].map((type) => ({
    type,
    status: type === 'Ready' ? 'False' : 'True',
    reason: 'InvalidSchedule',
  }));
  const OBJECTS = {
    active: { task: 'reports', schedule: '0 6 * * *', timeZone: 'Europe/Rome' },
    bad: { task: 'reports', schedule: '61 6 * * *' },
    fast: { task: 'heartbeat', every: '1s', queue: 'fast' },
    off: { task: 'reports', schedule: '@daily', suspend: true },
    unseen: { task: 'reports', every: '1h' },
  };
  const minutesAgo = (minutes: number): string =>
    new Date(Date.now() - minutes * 60_000).toISOString().replace(/\.\d+/, '');
  const STATUS = {
    active: {
      conditions: [SCHEDULED],
      nextScheduleTime: '2099-01-02T05:00:00Z',
      lastScheduleTime: minutesAgo(12),
      active: 2,
    },
    bad: { conditions: STALLED },
    fast: { conditions: [SCHEDULED], lastScheduleTime: minutesAgo(0), active: 0 },
    off: { conditions: [{ ...SCHEDULED, reason: 'Suspended' }], lastScheduleTime: minutesAgo(200) },
  };
  let namespace: string;
  before(async () => {
    namespace = await plane.namespace();
    await plane.apply(Object.entries(OBJECTS).map(([name, spec]) => object(name, spec, namespace)));
    for (const [name, { conditions, ...rest }] of Object.entries(STATUS)) {
      const full = conditions.map((condition) => ({
        ...condition,
        message: '',
        observedGeneration: 1,
        lastTransitionTime: minutesAgo(30),
      }));
      const status = JSON.stringify({ status: { ...rest, observedGeneration: 1, conditions: full } });
      await plane.mustKubectl([
        ...['patch', 'st', name, '-n', namespace, '--subresource=status', '--type=merge', '-p', status],
      ]);
    }
  });

  /** Cells by the columns of the header, since any may be empty; an age reads `age`. */
  async function table(...args: readonly string[]): Promise<readonly string[]> {
    const printed = await plane.mustKubectl(['get', ...args, '-n', namespace]);
    assert.doesNotMatch(printed, /<invalid>|<none>|<unknown>/);
    const [header = '', ...lines] = printed.trimEnd().split('\n');
    const starts = [...header.matchAll(/\S+/g)].map(({ index }) => index);
    const cells = (line: string): readonly string[] =>
      starts.map((start, at) => line.slice(start, starts[at + 1]).trim());
    const names = cells(header);
    const withoutAges = (line: string): string =>
      cells(line)
        .map((cell, at) => (['LAST', 'AGE'].includes(names[at] ?? '') ? cell.replace(AGE, 'age') : cell))
        .join('|');
    return [names.join('|'), ...lines.map(withoutAges)];
  }
  const AGE = /^(\d+[smhd]){1,2}$/;

  test('shows the active, the invalid, the suspended and the never seen', async () => {
    const expected = [
      'NAME|TASK|SCHEDULE|EVERY|READY|REASON|LAST|NEXT|AGE',
      'active|reports|0 6 * * *||True|Scheduled|age|2099-01-02T05:00:00Z|age',
      'bad|reports|61 6 * * *||False|InvalidSchedule|||age',
      'fast|heartbeat||1s|True|Scheduled|age||age',
      'off|reports|@daily||True|Suspended|age||age',
      'unseen|reports||1h|Unknown|Pending|||age',
    ];
    assert.deepEqual(await table('st'), expected);
    assert.deepEqual(await table('scheduledtasks'), expected);
    // All of a category at once come with their resource's name before their own.
    assert.deepEqual(await table('tidemill'), expected);
  });

  test('shows zone, queue, suspension and runs in flight with -o wide', async () => {
    const wide = (await table('st', '-o', 'wide')).map((row) => row.split('|').slice(-5).join('|'));
    assert.deepEqual(wide, [
      'AGE|ZONE|QUEUE|SUSPEND|ACTIVE',
      'age|Europe/Rome||false|2',
      'age|||false|',
      'age||fast|false|0',
      'age|||true|',
      'age|||false|',
    ]);
  });
});

describe('kubectl explain', () => {
  /** Each field of the recursive listing, as a path; those of the metadata are Kubernetes' own. */
  async function fieldPaths(): Promise<readonly string[]> {
    const listing = await plane.mustKubectl(['explain', 'scheduledtask', '--recursive']);
    const above: string[] = [];
    const paths: string[] = [];
    for (const [, indent = '', name = ''] of listing.matchAll(/^( {2,})(\w+)\t</gm)) {
      above.splice(indent.length / 2 - 1, Infinity, name);
      paths.push(above.join('.'));
    }
    return paths.filter((path) => /^(spec|status)\b/.test(path));
  }

  const spoken = (text: string): string => text.replace(/\s+/g, ' ').trim();

  test('says of every field what it is for', async () => {
    const paths = await fieldPaths();
    for (const known of [
      'spec.task',
      'spec.retry.attempts',
      'status.conditions.reason',
      'status.lastRun.state',
    ])
      assert.ok(paths.includes(known), `${known} in ${paths.join(' ')}`);
    const parents = [...new Set(paths.map((path) => path.split('.').slice(0, -1).join('.')))];
    for (const parent of parents) {
      const page = await plane.mustKubectl(['explain', ['scheduledtask', parent].filter(Boolean).join('.')]);
      for (const path of paths.filter(
        (candidate) => candidate.split('.').slice(0, -1).join('.') === parent,
      )) {
        const name = path.split('.').at(-1) ?? '';
        const entry =
          new RegExp(`^  ${name}\\t<[^\\n]*\\n((?:    .*|  enum: .*|  default: .*)\\n)*`, 'm').exec(
            page,
          )?.[0] ?? '';
        const description = entry
          .split('\n')
          .filter((line) => line.startsWith('    '))
          .join(' ');
        assert.match(spoken(description), /^[A-Z].*\.$/, `${path}: ${JSON.stringify(entry)}`);
      }
    }
  });

  test('reads like documentation', async () => {
    assert.match(
      spoken(await plane.mustKubectl(['explain', 'st'])),
      /KIND: ScheduledTask VERSION: v1alpha1 DESCRIPTION: A ScheduledTask says /,
    );
    assert.match(
      spoken(await plane.mustKubectl(['explain', 'st.spec.concurrencyPolicy'])),
      /ENUM: Allow Forbid Replace DESCRIPTION: What happens when a slot comes while a run is in flight: Forbid skips the slot, Allow runs both, Replace cancels the earlier run\./,
    );
  });
});

describe('every manifest that we print somewhere', () => {
  interface Manifest {
    readonly at: string;
    readonly text: string;
  }
  /** Objects of other projects, whose definitions are not installed here. */
  const FOREIGN = /^apiVersion: (argoproj\.io|monitoring\.coreos\.com)\//m;
  const isObject = (text: string): boolean =>
    /^apiVersion:/m.test(text) && /^kind:/m.test(text) && !FOREIGN.test(text);
  const inPages = pages().flatMap((page) =>
    codeBlocks(readPage(page))
      .filter(({ language, text }) => language === 'yaml' && isObject(text))
      .map(({ text, line }): Manifest => ({ at: `${page}:${line}`, text })),
  );
  const inExamples = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.ya?ml$/.test(path))
    .map((path): Manifest => ({ at: path, text: readFileSync(join(ROOT, 'examples', path), 'utf8') }))
    // Other YAML, such as the file that says what the queues take, is no object.
    .filter(({ text }) => isObject(text));
  const manifests = [...inPages, ...inExamples];

  test('is taken by the API server', async () => {
    assert.ok(inPages.length >= 6 && inExamples.length >= 2, manifests.map(({ at }) => at).join(' '));
    const namespaces = new Set<unknown>(
      manifests.flatMap(({ text }) =>
        parseAllDocuments(text).map((document) => document.getIn(['metadata', 'namespace'])),
      ),
    );
    for (const namespace of namespaces)
      if (typeof namespace === 'string') await plane.kubectl(['create', 'namespace', namespace]);
    for (const { at, text } of manifests) {
      const { code, stderr } = await plane.kubectl(['apply', '--dry-run=server', '-f', '-'], text);
      assert.equal(code, 0, `${at}: ${stderr}`);
    }
  });
});
