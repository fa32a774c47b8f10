/** Manifests on a real disk: what a change, a broken file, a half-written file and a deletion do to the objects. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Broker } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { define } from '../../../src/controller/definition.ts';
import { ScheduleEngine } from '../../../src/controller/engine.ts';
import { fileUid } from '../../../src/controller/file-generation.ts';
import type { ManifestObject } from '../../../src/controller/manifest-object.ts';
import { FileSource, type FileSourceOptions } from '../../../src/controller/file-source.ts';
import { adoptRequest } from '../../../src/controller/reconcile.ts';
import { newEntry } from '../../../src/controller/entry.ts';
import type { ScheduledObject } from '../../../src/resource/scheduled-object.ts';
import { parseManifests } from '../../../src/resource/manifest.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { type Problem, TidemillError } from '../../../src/runtime/errors.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { until } from '../../support/until.ts';

const POLL_MS = 60;

const manifest = (name: string, every = '10s', extra = ''): string =>
  `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata: { name: ${name} }\nspec: { task: tick, every: ${every}${extra} }\n`;

describe('schedules from files', () => {
  let folder: string;
  let broker: Broker;
  let stop: AbortController;
  let running: Promise<void>[];
  let problems: readonly Problem[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-files-'));
    broker = createMemoryBroker({ clock: systemClock });
    stop = new AbortController();
    running = [];
    problems = [];
  });
  afterEach(async () => {
    stop.abort();
    await Promise.all(running);
    await rm(folder, { recursive: true });
  });

  const open = (options: Partial<FileSourceOptions> = {}): FileSource =>
    new FileSource({
      ...{
        roots: [folder],
        parse: parseManifests,
        install: 'test',
        broker,
        clock: systemClock,
        log: silentLog,
        pollMs: POLL_MS,
      },
      onProblems: (all) => {
        problems = all;
      },
      ...options,
    });
  const serve = async (options: Partial<FileSourceOptions> = {}): Promise<FileSource> => {
    const source = open(options);
    await source.load();
    running.push(source.run(stop.signal));
    return source;
  };
  const put = (file: string, text: string): Promise<void> => writeFile(join(folder, file), text);
  const names = (source: FileSource): readonly string[] =>
    source
      .list()
      .map(({ name }) => name)
      .sort();
  const everyOf = (source: FileSource, name: string): string | undefined => {
    const spec = source.get(`default/${name}`)?.spec;
    return spec !== undefined && 'every' in spec ? spec.every : undefined;
  };
  /** As the engine does. */
  const adopt = async (object: ScheduledObject | undefined): Promise<string> => {
    assert.ok(object !== undefined);
    const verdict = { kind: 'fires', reason: 'Scheduled', message: '' } as const;
    const request = adoptRequest(newEntry(object, define(object), verdict, 0), 'test');
    const [reply] = await broker.queue('default').schedules.adopt([request]);
    return reply?.outcome ?? 'none';
  };

  test('objects of all files below a folder are there, with a uid that depends on install, namespace and name', async () => {
    await mkdir(join(folder, 'deep'));
    await put('one.yaml', `${manifest('a')}---\n${manifest('b')}`);
    await put('deep/two.yml', manifest('c'));
    await put('readme.md', 'not a manifest');
    await put('.hidden.yaml', manifest('d'));
    const source = open();
    assert.deepEqual(await source.load(), []);
    assert.deepEqual(names(source), ['a', 'b', 'c']);
    const other = open({ install: 'other' });
    await other.load();
    assert.notEqual(other.get('default/a')?.uid, source.get('default/a')?.uid);
    const again = open();
    await again.load();
    assert.deepEqual(again.get('default/a'), source.get('default/a'));
  });

  test('a changed file raises the generation of what changed in it, and tells who listens', async () => {
    await put('one.yaml', `${manifest('a')}---\n${manifest('b')}`);
    const source = await serve();
    const before = {
      a: source.get('default/a')?.generation ?? 0,
      b: source.get('default/b')?.generation ?? 0,
    };
    const told: string[] = [];
    using _subscription = source.subscribe((key) => told.push(key));
    await adopt(source.get('default/a'));
    await put('one.yaml', `${manifest('a', '20s')}---\n${manifest('b')}`);
    await until('the edit to be in force', () => everyOf(source, 'a') === '20s');
    assert.ok((source.get('default/a')?.generation ?? 0) > before.a);
    assert.equal(source.get('default/b')?.generation, before.b);
    assert.deepEqual(told, ['default/a']);
    assert.equal(await adopt(source.get('default/a')), 'adopted');
  });

  test('a restart with the same files finds the same generation, and one with other files a higher one', async () => {
    await put('one.yaml', manifest('a'));
    const first = open();
    await first.load();
    assert.equal(await adopt(first.get('default/a')), 'adopted');
    const second = open();
    await second.load();
    assert.equal(await adopt(second.get('default/a')), 'current');
    await put('one.yaml', manifest('a', '20s'));
    const third = open();
    await third.load();
    assert.equal(await adopt(third.get('default/a')), 'adopted');
    assert.equal(await adopt(second.get('default/a')), 'stale');
  });

  test('an object that is refused as withdrawn gets a higher generation when it is read again', async () => {
    await put('one.yaml', manifest('a'));
    const source = open();
    await source.load();
    const object = source.get('default/a');
    await adopt(object);
    await broker.queue('default').schedules.withdraw([object?.uid ?? '']);
    const again = await source.readLive('default/a');
    assert.ok((again?.generation ?? 0) > (object?.generation ?? 0));
    assert.deepEqual(await source.readLive('default/a'), again, 'once is enough');
  });

  test('an object that is taken out and put back fires again, and nothing of the time between', async () => {
    const clock = new VirtualClock(Date.parse('2026-03-02T08:00:00Z'));
    const queue = createMemoryBroker({ clock });
    const objects = ['a', 'b', 'c'].flatMap(
      (name) => parseManifests(manifest(name, '10s', ', concurrencyPolicy: Allow'), name).objects,
    );
    const term = async (code: readonly ManifestObject[], ms: number): Promise<void> => {
      const end = new AbortController();
      const source = open({ roots: [], code, clock, broker: queue });
      await source.load();
      const engine = new ScheduleEngine({ source, broker: queue, clock, log: silentLog, install: 'test' });
      const done = Promise.all([source.run(end.signal), engine.run(end.signal)]);
      await clock.advanceBy(ms);
      end.abort();
      await clock.advanceBy(1_000);
      await done;
    };
    await term(objects, 15_000);
    await term(objects.slice(1), 30_000);
    await term(objects, 30_000);
    const uid = fileUid('test', 'default', 'a');
    const page = await queue.queue('default').inspect.runs({ scheduleUid: uid, limit: 100 });
    assert.deepEqual(page.runs.map(({ id }) => id.slice(-10, -5)).sort(), [
      '00:00',
      '00:10',
      '00:50',
      '01:00',
      '01:10',
    ]);
  });

  test('one that may not overrule the leader does not raise a generation that another one made', async () => {
    await put('one.yaml', manifest('a', '20s'));
    const leader = open();
    await leader.load();
    await put('one.yaml', manifest('a'));
    const former = open({ authority: async () => false });
    await former.load();
    await adopt(leader.get('default/a'));
    await assert.rejects(
      () => former.readLive('default/a'),
      (error) => error instanceof TidemillError && error.code === 'NOT_LEADER',
    );
  });

  test('a start with other files than the leader’s holds back what differs, says so once, and follows with the lead', async () => {
    await put('one.yaml', `${manifest('a', '20s')}---\n${manifest('b')}`);
    const leader = open();
    await leader.load();
    for (const object of leader.list()) await adopt(object);
    await put('one.yaml', `${manifest('a')}---\n${manifest('b')}---\n${manifest('new')}`);
    let leads = false;
    let asked = 0;
    const warnings: string[] = [];
    const follower = await serve({
      authority: async () => {
        asked += 1;
        return leads;
      },
      log: { ...silentLog, warn: (message) => warnings.push(message) },
    });
    await until('several looks', () => asked > 3);
    assert.deepEqual(names(follower), ['b', 'new']);
    assert.equal(follower.lastFullListAt, undefined, 'what is held back must not look deleted');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /differ from what is in force/);
    leads = true;
    await until('the edit to be in force', () => everyOf(follower, 'a') === '10s');
    assert.equal(await adopt(follower.get('default/a')), 'adopted');
    await until('the list to be full', () => follower.lastFullListAt !== undefined);
  });

  test('one that begins to lead looks at its files at once, not at its next look', async () => {
    await put('one.yaml', manifest('a', '20s'));
    const leader = open();
    await leader.load();
    await adopt(leader.get('default/a'));
    await put('one.yaml', manifest('a'));
    let leads = false;
    const follower = await serve({ authority: async () => leads, pollMs: 3_600_000 });
    leads = true;
    await until('the edit to be in force', () => {
      follower.lookAgain();
      return everyOf(follower, 'a') === '10s';
    });
  });

  test('a root that cannot be watched is told of in a debug line, and the others are served', async () => {
    const lines: string[] = [];
    const source = await serve({
      roots: ['not\0a path', folder],
      log: { ...silentLog, debug: (message, { root } = {}) => lines.push(`${message}: ${String(root)}`) },
    });
    assert.deepEqual(lines, ['manifests are not watched, only looked at now and then: not\0a path']);
    await put('one.yaml', manifest('a'));
    await until('the object to be there', () => everyOf(source, 'a') === '10s');
  });

  test('a file that turns invalid keeps its last good objects, and says file, line, field, value and rule', async () => {
    await put('one.yaml', manifest('a'));
    const source = await serve();
    const listedAt = source.lastFullListAt;
    await put('one.yaml', manifest('a', '5ms'));
    await until('the problem to be told', () => problems.length > 0);
    assert.match(problems[0]?.at ?? '', /one\.yaml:4$/);
    assert.match(problems[0]?.message ?? '', /spec\.every.*"5ms".*100ms/);
    assert.equal(everyOf(source, 'a'), '10s');
    const stalledAt = source.lastFullListAt;
    await put('one.yaml', manifest('a', '30s'));
    await until('the repair to be in force', () => everyOf(source, 'a') === '30s' && problems.length === 0);
    assert.ok(listedAt !== undefined && stalledAt !== undefined);
    assert.ok((source.lastFullListAt ?? 0) > stalledAt, 'a list counts again once every file is valid');
  });

  test('at a start with a broken file nothing counts as gone', async () => {
    await put('one.yaml', manifest('a'));
    await put('two.yaml', 'kind: [');
    const source = open();
    assert.equal((await source.load()).length, 1);
    assert.deepEqual(names(source), ['a']);
    assert.equal(source.lastFullListAt, undefined);
  });

  test('a file that is cut short while it is written takes no object away', async () => {
    const whole = `${manifest('a')}---\n${manifest('b')}---\n${manifest('c')}`;
    await put('one.yaml', whole);
    const source = await serve();
    const gone: string[] = [];
    using _subscription = source.subscribe((key) => gone.push(key));
    for (const length of [0, manifest('a').length, Math.floor(whole.length * 0.7)]) {
      await put('one.yaml', whole.slice(0, length));
      const listedAt = source.lastFullListAt ?? 0;
      await until(
        'the cut file to be looked at',
        () => (source.lastFullListAt ?? 0) > listedAt || problems.length > 0,
      );
      await put('one.yaml', whole);
      await until('all to be well', () => problems.length === 0 && (source.lastFullListAt ?? 0) > listedAt);
    }
    assert.deepEqual(names(source), ['a', 'b', 'c']);
    assert.deepEqual(gone, []);
  });

  test('an editor that replaces the file by another does not delete its objects', async () => {
    await put('one.yaml', manifest('a'));
    const source = await serve();
    const told: string[] = [];
    using _subscription = source.subscribe(() => told.push(everyOf(source, 'a') ?? 'gone'));
    await rm(join(folder, 'one.yaml'));
    await put('one.tmp', manifest('a', '20s'));
    await rename(join(folder, 'one.tmp'), join(folder, 'one.yaml'));
    await until('the edit to be in force', () => everyOf(source, 'a') === '20s');
    assert.deepEqual(told, ['20s']);
  });

  test('an object that stays away is gone: taken out of its file, or with the file', async () => {
    await put('one.yaml', `${manifest('a')}---\n${manifest('b')}`);
    await put('two.yaml', manifest('c'));
    const source = await serve();
    await put('one.yaml', manifest('a'));
    await rm(join(folder, 'two.yaml'));
    await until('both to be gone', () => names(source).join() === 'a');
  });

  test('a folder that cannot be read any more takes nothing away', async () => {
    const inner = join(folder, 'inner');
    await mkdir(inner);
    await put('inner/one.yaml', manifest('a'));
    const source = await serve({ roots: [inner] });
    await rename(inner, join(folder, 'moved'));
    await until('the problem to be told', () => problems.length > 0);
    const listedAt = source.lastFullListAt;
    assert.deepEqual(names(source), ['a']);
    await rename(join(folder, 'moved'), inner);
    await until(
      'the folder to be there again',
      () => problems.length === 0 && source.lastFullListAt !== listedAt,
    );
    assert.deepEqual(names(source), ['a']);
  });

  test('the same object in two files is a problem that names both, and the first stays in force', async () => {
    await put('one.yaml', manifest('a', '10s'));
    await put('two.yaml', manifest('a', '20s'));
    const source = open();
    const [problem] = await source.load();
    assert.match(problem?.at ?? '', /two\.yaml:1$/);
    assert.match(problem?.message ?? '', /default\/a .*one\.yaml:1/);
    assert.equal(everyOf(source, 'a'), '10s');
  });

  test('schedules in code stand beside the files', async () => {
    await put('one.yaml', manifest('a'));
    const [object] = parseManifests(manifest('coded'), 'code').objects;
    assert.ok(object !== undefined);
    const source = open({ code: [object] });
    await source.load();
    assert.deepEqual(names(source), ['a', 'coded']);
  });

  test('without a broker a change waits, and what was in force stays', async () => {
    await put('one.yaml', manifest('a'));
    let away = false;
    const flaky: Pick<Broker, 'queue'> = {
      queue: (name) => {
        const queue = broker.queue(name);
        const states: Broker['queue'] extends (name: string) => infer Q
          ? Q extends { schedules: { states: infer S } }
            ? S
            : never
          : never = async (uids) => {
          if (away) throw new TidemillError('BROKER_UNAVAILABLE', 'planned');
          return await queue.schedules.states(uids);
        };
        return { ...queue, schedules: { ...queue.schedules, states } };
      },
    };
    const source = await serve({ broker: flaky });
    away = true;
    await put('one.yaml', manifest('a', '20s'));
    await assert.rejects(async () => {
      // Two reads, a moment apart, before the change counts.
      for (;;) await source.readLive('default/a');
    }, /planned/);
    assert.equal(everyOf(source, 'a'), '10s');
    away = false;
    await until('the change to be in force', () => everyOf(source, 'a') === '20s');
  });
});
