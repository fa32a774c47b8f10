/** Events on a real API server, as kubectl shows them. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { z } from 'zod';
import { connectKube, type KubeConnection } from '../../../src/kube/connect.ts';
import { type KubeEvent, KubeEventStore } from '../../../src/kube/event-api.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { until } from '../../support/until.ts';
import { scheduledTask, startInProcess } from './in-process-controller.ts';
import { controllerAccount } from './watched.ts';

const Events = z.object({
  items: z.array(
    z.looseObject({
      ...{ reason: z.string(), type: z.string(), note: z.string(), action: z.string() },
      regarding: z.looseObject({ kind: z.string(), name: z.string(), uid: z.string() }),
      series: z.object({ count: z.number(), lastObservedTime: z.string() }).optional(),
      ...{ eventTime: z.string(), reportingController: z.string(), reportingInstance: z.string() },
    }),
  ),
});

describe('events on a real API server', () => {
  let plane: ControlPlane;
  let namespace: string;
  let kubeconfig: string;

  before(async () => {
    plane = await startControlPlane();
    await plane.applyCrd();
  });
  after(async () => {
    await plane[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    namespace = await plane.namespace('events');
    ({ kubeconfig } = await controllerAccount(plane, namespace));
  });

  const kubectl = (...args: readonly string[]): Promise<string> =>
    plane.mustKubectl([...args, '-n', namespace]);
  const apply = (name: string, spec: Readonly<Record<string, unknown>>): Promise<string> =>
    plane.mustKubectl(['apply', '-n', namespace, '-f', '-'], scheduledTask(name, spec));
  const events = async () =>
    Events.parse(JSON.parse(await kubectl('get', 'events.v1.events.k8s.io', '-o', 'json'))).items;
  const eventWith = async (reason: string) => (await events()).find((event) => event.reason === reason);

  test('what happens to an object is told in its description, with its type and reason', async () => {
    await apply('a', { every: '1h' });
    await apply('bad', { schedule: '0 0 31 2 *' });
    await using _controller = startInProcess({ kubeconfig, namespace });
    await until('it is accepted', () => eventWith('ScheduleAccepted'));
    await kubectl('patch', 'st', 'a', '--type=merge', '-p', '{"spec":{"suspend":true}}');
    await until('it is suspended', () => eventWith('Suspended'));
    const described = await kubectl('describe', 'st', 'a');
    assert.match(described, /Normal +ScheduleAccepted .*tidemill\.dev\/controller.* accepted: every 1h/);
    assert.match(described, /Normal +Suspended .*spec\.suspend is true: nothing fires/);
    const bad = await until('the bad one is told', () => eventWith('NeverFires'));
    assert.equal(bad.type, 'Warning');
    assert.equal(bad.regarding.name, 'bad');
    assert.match(bad.note, /spec\.schedule/);
    assert.equal(bad.reportingInstance, 'controller-0');
  });

  test('slots skipped in a row are one event whose count rises', async () => {
    await apply('a', { every: '1s', concurrencyPolicy: 'Forbid' });
    await using _controller = startInProcess({ kubeconfig, namespace });
    const event = await until(
      'the count rises',
      async () => {
        const skipped = await eventWith('RunSkipped');
        return (skipped?.series?.count ?? 0) > 5 ? skipped : undefined;
      },
      { deadlineMs: 60_000 },
    );
    assert.equal((await events()).filter(({ reason }) => reason === 'RunSkipped').length, 1);
    assert.ok(Date.parse(event.series?.lastObservedTime ?? '') > Date.parse(event.eventTime));
    assert.match(await kubectl('describe', 'st', 'a'), /RunSkipped +\d+s \(x\d+ over \d+s\)/);
  });

  test('a controller that takes over tells nothing again', async () => {
    await apply('a', { every: '1h' });
    await apply('bad', { schedule: '0 0 31 2 *' });
    {
      await using _first = startInProcess({ kubeconfig, namespace });
      await kubectl('wait', '--for=condition=Ready', '--timeout=30s', 'st/a');
      await until('both told', async () => (await events()).length >= 4);
    }
    const before = (await events()).map(({ reason }) => reason).sort();
    await using next = startInProcess({ kubeconfig, namespace });
    await kubectl('patch', 'st', 'a', '--type=merge', '-p', '{"spec":{"suspend":true}}');
    await until('the next one works', () => eventWith('Suspended'));
    assert.deepEqual((await events()).map(({ reason }) => reason).sort(), [...before, 'Suspended'].sort());
    assert.ok(next.writes.length > 0);
  });

  describe('written by hand', () => {
    let connection: KubeConnection;
    let store: KubeEventStore;
    const event = (input: Partial<KubeEvent> = {}): KubeEvent => ({
      ...{
        eventName: 'a.1',
        namespace,
        name: 'a',
        uid: 'u',
        type: 'Normal',
        reason: 'RunSkipped',
        action: 'Fire',
      },
      ...{ message: 'skipped', count: 1, firstMs: 1_700_000_000_123, lastMs: 1_700_000_000_123 },
      ...input,
    });
    const disposing = async (work: () => Promise<void>): Promise<void> => {
      connection = connectKube({ kubeconfig, clock: systemClock });
      store = new KubeEventStore({ connection, clock: systemClock, instance: 'x'.repeat(200) });
      try {
        await work();
      } finally {
        await connection[Symbol.asyncDispose]();
      }
    };

    test('a create that is sent again finds its own event', () =>
      disposing(async () => {
        assert.equal(await store.create(event()), 'written');
        assert.equal(await store.create(event()), 'written');
        const found = await events();
        assert.equal(found.length, 1);
        assert.equal(found[0]?.eventTime, '2023-11-14T22:13:20.123000Z');
        assert.equal(found[0].series, undefined);
      }));

    test('an event may begin as a series, and a repeat raises its count', () =>
      disposing(async () => {
        await store.create(event({ count: 3, lastMs: 1_700_000_005_000 }));
        assert.equal(await store.repeat(event({ count: 7, lastMs: 1_700_000_009_000 })), 'written');
        assert.deepEqual((await events())[0]?.series, {
          count: 7,
          lastObservedTime: '2023-11-14T22:13:29.000000Z',
        });
      }));

    test('a repeat of an event that the server has dropped says so, and so does a namespace that is gone', () =>
      disposing(async () => {
        assert.equal(await store.repeat(event({ count: 2 })), 'gone');
        await plane.mustKubectl(['delete', 'namespace', namespace, '--wait=false']);
        assert.equal(await store.create(event()), 'gone');
      }));

    test('a message of any length and alphabet fits', () =>
      disposing(async () => {
        assert.equal(await store.create(event({ message: '好'.repeat(2_000) })), 'written');
        const note = (await events())[0]?.note ?? '';
        assert.ok(Buffer.byteLength(note) <= 1_024);
        assert.match(note, /^好+…$/);
      }));

    test('an event that the server does not take is refused', () =>
      disposing(async () => {
        assert.equal(await store.create(event({ reason: 'x'.repeat(200) })), 'refused');
      }));

    test('an account without the right is told so', () =>
      disposing(async () => {
        const other = await plane.namespace('other');
        await assert.rejects(store.create(event({ namespace: other })), (error) => {
          assert.ok(error instanceof TidemillError);
          assert.equal(error.code, 'KUBE_FORBIDDEN');
          return true;
        });
      }));
  });
});
