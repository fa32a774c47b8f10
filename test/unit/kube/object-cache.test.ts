/** The cache behind the informer: lists, events and live reads, whatever order they come in. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ObjectCache } from '../../../src/kube/object-cache.ts';
import type { ScheduledObject } from '../../../src/resource/scheduled-object.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

let clock: VirtualClock;
let cache: ObjectCache;
let told: string[];
const NONE: ReadonlySet<string> = new Set();

beforeEach(() => {
  clock = new VirtualClock();
  cache = new ObjectCache(clock, silentLog);
  told = [];
  cache.subscribe((key) => told.push(key));
});

const object = (key: string, version: number, more: Partial<ScheduledObject> = {}): ScheduledObject => {
  const [namespace = '', name = ''] = key.split('/');
  const spec = { unreadable: 'of no interest here', queue: 'default' };
  return { key, namespace, name, uid: 'u1', generation: 1, spec, resourceVersion: String(version), ...more };
};

const replace = (
  objects: readonly ScheduledObject[],
  askedAtMs = clock.monotonic(),
  namespace?: string,
): void => {
  cache.replace(namespace, objects, NONE, askedAtMs);
};

const version = (key: string): string | undefined => cache.get(key)?.resourceVersion;

describe('lists', () => {
  test('what a list lacks is gone, within what it covers', () => {
    replace([object('n/a', 1), object('n/b', 2), object('m/c', 3)]);
    told.length = 0;
    replace([object('n/b', 2)], clock.monotonic(), 'n');
    assert.deepEqual(
      cache
        .list()
        .map(({ key }) => key)
        .sort(),
      ['m/c', 'n/b'],
    );
    assert.deepEqual(told, ['n/a']);
  });

  test('what a list has is the truth even when it is older: the server was restored', () => {
    replace([object('n/a', 90, { generation: 4 })]);
    replace([object('n/a', 20, { generation: 2 })]);
    assert.equal(version('n/a'), '20');
    assert.deepEqual(told, ['n/a', 'n/a']);
  });

  test('an object that cannot be read stays as it was', () => {
    replace([object('n/a', 1)]);
    cache.replace(undefined, [], new Set(['n/a']), clock.monotonic());
    assert.equal(version('n/a'), '1');
  });
});

describe('events', () => {
  test('only news is told: spec, generation, our annotations, deletion, another uid', () => {
    cache.changed(object('n/a', 1));
    told.length = 0;
    cache.changed(object('n/a', 2));
    cache.changed(object('n/a', 3, { status: { active: 1 } }));
    assert.deepEqual(told, []);
    assert.equal(version('n/a'), '3');
    cache.changed(object('n/a', 4, { generation: 2 }));
    cache.changed(object('n/a', 5, { generation: 2, annotations: { 'tidemill.dev/run-now': '1' } }));
    cache.changed(object('n/a', 6, { generation: 2, deletedAt: 1 }));
    cache.changed(object('n/a', 7, { generation: 2, uid: 'u2' }));
    cache.changed(object('n/a', 8, { generation: 2, uid: 'u2', spec: { unreadable: 'x', queue: 'q' } }));
    assert.equal(told.length, 5);
  });

  test('a spec that did not change is not kept twice', () => {
    cache.changed(object('n/a', 1));
    const spec = cache.get('n/a')?.spec;
    cache.changed(object('n/a', 2));
    assert.equal(cache.get('n/a')?.spec, spec);
  });

  test('an event from before what is known is late, not news', () => {
    cache.changed(object('n/a', 5, { generation: 2 }));
    cache.changed(object('n/a', 4));
    cache.deleted('n/a', '3');
    assert.equal(version('n/a'), '5');
    cache.deleted('n/a', '6');
    assert.equal(version('n/a'), undefined);
  });
});

describe('a deletion', () => {
  test('that a watch told of is known by uid until the next list or the next object of that name', () => {
    replace([object('n/a', 1, { uid: 'u1' }), object('n/b', 2, { uid: 'u2' })]);
    cache.deleted('n/a', '3');
    cache.readLive('n/b', undefined);
    assert.equal(cache.deletedUid('n/a'), 'u1');
    assert.equal(cache.deletedUid('n/b'), undefined, 'absent, but nobody said why');
    cache.changed(object('n/a', 4, { uid: 'u3' }));
    assert.equal(cache.deletedUid('n/a'), undefined);
    cache.deleted('n/a', '5');
    replace([]);
    assert.equal(cache.deletedUid('n/a'), undefined);
  });

  test('a deletion that was told of outlives the list of another namespace', () => {
    replace([object('n/a', 1)]);
    cache.deleted('n/a', '2');
    replace([], clock.monotonic(), 'm');
    assert.equal(cache.deletedUid('n/a'), 'u1');
    replace([], clock.monotonic(), 'n');
    assert.equal(cache.deletedUid('n/a'), undefined);
  });
});

describe('live reads', () => {
  test('win over what was known, even over a higher version', () => {
    replace([object('n/a', 90)]);
    cache.readLive('n/a', object('n/a', 20));
    assert.equal(version('n/a'), '20');
    cache.readLive('n/a', undefined);
    assert.equal(version('n/a'), undefined);
    assert.equal(told.length, 2);
  });

  test('of nothing are not undone by late events of the same object, but by another of its name', () => {
    replace([object('n/a', 5)]);
    cache.readLive('n/a', undefined);
    cache.changed(object('n/a', 6));
    assert.equal(version('n/a'), undefined);
    cache.changed(object('n/a', 9, { uid: 'u2' }));
    assert.equal(version('n/a'), '9');
  });

  test('are younger than a list that was asked for before, and older than one asked for after', async () => {
    replace([object('n/edited', 1), object('n/deleted', 2)]);
    const askedAtMs = clock.monotonic();
    await clock.advanceBy(10);
    cache.readLive('n/edited', object('n/edited', 7, { generation: 2 }));
    cache.readLive('n/deleted', undefined);
    cache.readLive('n/made', object('n/made', 8));
    replace([object('n/edited', 1), object('n/deleted', 2)], askedAtMs);
    assert.deepEqual(
      cache.list().map(({ key, resourceVersion }) => `${key} ${resourceVersion}`),
      ['n/edited 7', 'n/made 8'],
    );
    // By then the list knows what the reads knew.
    await clock.advanceBy(10);
    replace([object('n/deleted', 2)]);
    assert.deepEqual(
      cache.list().map(({ key }) => key),
      ['n/deleted'],
    );
  });

  test('a list asked for before, whose snapshot is younger all the same, is believed', async () => {
    const askedAtMs = clock.monotonic();
    await clock.advanceBy(10);
    cache.readLive('n/a', object('n/a', 5));
    replace([object('n/a', 9)], askedAtMs);
    assert.equal(version('n/a'), '9');
  });
});

test('a listener that throws does not keep the others from hearing', () => {
  const heard: string[] = [];
  cache.subscribe(() => {
    throw new Error('a defect of a listener');
  });
  using last = cache.subscribe((key) => heard.push(key));
  cache.changed(object('n/a', 1));
  assert.deepEqual([told, heard], [['n/a'], ['n/a']]);
  last[Symbol.dispose]();
  cache.changed(object('n/b', 2));
  assert.deepEqual(heard, ['n/a']);
});
