/** Statuses on a real API server: what people and tools read, and what a write must never touch. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { z } from 'zod';
import { connectKube, type KubeConnection } from '../../../src/kube/connect.ts';
import { ScheduledTasksApi } from '../../../src/kube/scheduled-tasks.ts';
import { KubeStatusStore } from '../../../src/kube/status-api.ts';
import {
  parseScheduledTask,
  type ScheduledTask,
  type ScheduledTaskStatus,
} from '../../../src/resource/scheduled-task.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { kstatusOf } from '../../support/kstatus.ts';
import { until } from '../../support/until.ts';
import { scheduledTask, startInProcess } from './in-process-controller.ts';
import { controllerAccount } from './watched.ts';

const RawObject = z.looseObject({
  metadata: z.looseObject({
    ...{ uid: z.string(), resourceVersion: z.string(), generation: z.number() },
    managedFields: z.array(
      z.looseObject({ manager: z.string(), operation: z.string(), subresource: z.string().optional() }),
    ),
  }),
  spec: z.unknown(),
  status: z.looseObject({ conditions: z.array(z.looseObject({ type: z.string() })) }),
});

describe('statuses on a real API server', () => {
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
    namespace = await plane.namespace('status');
    ({ kubeconfig } = await controllerAccount(plane, namespace));
  });

  const kubectl = (...args: readonly string[]): Promise<string> =>
    plane.mustKubectl([...args, '-n', namespace]);
  const apply = (
    name: string,
    spec: Readonly<Record<string, unknown>>,
    metadata: object = {},
  ): Promise<string> =>
    plane.mustKubectl(['apply', '-n', namespace, '-f', '-'], scheduledTask(name, spec, metadata));
  const read = async (name: string): Promise<unknown> => {
    const text = await kubectl('get', 'st', name, '-o', 'json', '--show-managed-fields');
    return JSON.parse(text);
  };
  const raw = async (name: string) => RawObject.parse(await read(name));
  const object = async (name: string): Promise<ScheduledTask> => {
    const parsed = parseScheduledTask(await read(name), 'ignore');
    assert.ok(parsed.kind === 'object');
    return parsed.object;
  };
  const becomes = (name: string, wanted: ReturnType<typeof kstatusOf>): Promise<boolean> =>
    until(`${name} reads ${wanted}`, async () => kstatusOf(await object(name)) === wanted);

  describe('of a running controller', () => {
    test('kubectl wait and kstatus follow an object from its creation over a bad edit to its mending', async () => {
      await apply('a', { every: '1h' });
      assert.equal(kstatusOf(await object('a')), 'InProgress', 'no controller has seen it');
      {
        await using _controller = startInProcess({ kubeconfig, namespace });
        await kubectl('wait', '--for=condition=Ready', '--timeout=30s', 'st/a');
        assert.equal(kstatusOf(await object('a')), 'Current');
      }
      await apply('a', { schedule: '0 0 31 2 *' });
      assert.equal(kstatusOf(await object('a')), 'InProgress', 'no controller has acted on the edit');
      await using _next = startInProcess({ kubeconfig, namespace });
      await kubectl('wait', '--for=condition=Stalled', '--timeout=30s', 'st/a');
      await becomes('a', 'Failed');
      await apply('a', { schedule: '0 0 28 2 *' });
      await kubectl('wait', '--for=condition=Ready', '--timeout=30s', 'st/a');
      await becomes('a', 'Current');
    });

    test('a status write touches nothing of the user, and stands under one manager of its own', async () => {
      const metadata = { labels: { team: 'a' }, annotations: { 'example.com/note': 'mine' } };
      await apply(
        'a',
        { every: '1s', concurrencyPolicy: 'Allow', params: { deep: { list: [1, null, 'x'] } } },
        metadata,
      );
      const before = await raw('a');
      await using controller = startInProcess({ kubeconfig, namespace });
      await until(
        'two writes',
        () => controller.writes.filter((line) => line.endsWith('applied')).length >= 1,
      );
      await until('a decision shows', async () => (await object('a')).status?.observedGeneration === 1);
      const now = await raw('a');
      assert.deepEqual(now.spec, before.spec);
      assert.equal(now.metadata.generation, 1);
      for (const field of ['labels', 'annotations', 'uid', 'finalizers', 'ownerReferences'])
        assert.deepEqual(now.metadata[field], before.metadata[field]);
      assert.deepEqual(
        now.metadata.managedFields
          .map(({ manager, operation, subresource = 'spec' }) => `${manager} ${operation} ${subresource}`)
          .sort(),
        ['kubectl-client-side-apply Update spec', 'tidemill-controller Apply status'],
      );
    });

    test('kubectl describe shows the recent decisions, and kubectl get the next slot of what is slow enough', async () => {
      await apply('fast', { every: '1s', concurrencyPolicy: 'Forbid' });
      await apply('slow', { every: '1h' });
      await using _controller = startInProcess({ kubeconfig, namespace });
      await kubectl('wait', '--for=condition=Ready', '--timeout=30s', 'st/fast', 'st/slow');
      const isShown = async () => ((await object('fast')).status?.recent?.length ?? 0) > 1;
      await until('decisions show', isShown, { deadlineMs: 60_000 });
      const described = await kubectl('describe', 'st', 'fast');
      assert.match(described, /Recent:[^]*Decision: +Skipped[^]*Reason: +Overlap/);
      assert.match(described, /Decision: +Fired/);
      assert.match(described, /RunSkipped/);
      const rows = await kubectl('get', 'st', '--no-headers');
      assert.match(rows, /^slow .*Z/m);
      assert.equal((await object('fast')).status?.nextScheduleTime, undefined);
    });

    test('while the API server is away statuses wait, and catch up when it is back', async () => {
      await apply('a', { every: '1s', concurrencyPolicy: 'Allow' });
      await using controller = startInProcess({ kubeconfig, namespace });
      await kubectl('wait', '--for=condition=Ready', '--timeout=30s', 'st/a');
      await plane.apiServer.kill();
      const { length } = controller.writes;
      await until(
        'a write was tried and failed',
        () => controller.writes.slice(length).includes('refresh failed'),
        {
          deadlineMs: 60_000,
        },
      );
      await plane.apiServer.start();
      const back = Date.now();
      await until('a write made it', () => controller.writes.slice(length).includes('refresh applied'), {
        deadlineMs: 90_000,
      });
      const last = Date.parse((await object('a')).status?.lastScheduleTime ?? '');
      assert.ok(last >= back - 5_000, 'slots of the time without an API server were fired, and show');
      const failed = controller.writes.filter((line) => line.endsWith('failed')).length;
      process.stdout.write(`# tries that failed while it was away: ${failed}\n`);
    });
  });

  describe('written by hand', () => {
    let connection: KubeConnection;
    let store: KubeStatusStore;
    let logged: string[];

    beforeEach(() => {
      connection = connectKube({ kubeconfig, clock: systemClock });
      logged = [];
      store = new KubeStatusStore({
        tasks: new ScheduledTasksApi(connection, { patient: false }),
        clock: systemClock,
        log: { error: (message, fields) => logged.push(`${message} ${JSON.stringify(fields)}`) },
      });
    });
    const disposing = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } finally {
        await connection[Symbol.asyncDispose]();
      }
    };
    const ready: ScheduledTaskStatus = {
      observedGeneration: 1,
      conditions: [
        condition('Ready', 'True'),
        condition('Stalled', 'False'),
        condition('Reconciling', 'False'),
      ],
      nextScheduleTime: '2026-03-01T08:00:00Z',
    };
    const write = async (status: ScheduledTaskStatus, at?: Awaited<ReturnType<typeof raw>>) => {
      const { uid, resourceVersion } = (at ?? (await raw('a'))).metadata;
      return await store.apply({ namespace, name: 'a', uid, resourceVersion, status });
    };

    test('an old version is a conflict, and changes nothing', () =>
      disposing(async () => {
        await apply('a', { every: '1h' });
        const old = await raw('a');
        await kubectl('annotate', 'st', 'a', 'example.com/x=y');
        assert.equal(await write(ready, old), 'conflict');
        assert.equal((await object('a')).status?.observedGeneration, -1);
        assert.equal(await write(ready), 'applied');
        assert.equal((await object('a')).status?.observedGeneration, 1);
      }));

    test('the status of a deleted object never hits the one made anew under its name', () =>
      disposing(async () => {
        await apply('a', { every: '1h' });
        const old = await raw('a');
        await kubectl('delete', 'st', 'a');
        assert.equal(await write(ready, old), 'gone');
        await apply('a', { every: '1h' });
        assert.equal(await write(ready, old), 'conflict');
        assert.equal((await object('a')).status?.observedGeneration, -1);
      }));

    test('what a write leaves out vanishes: fields, conditions, and the default', () =>
      disposing(async () => {
        await apply('a', { every: '1h' });
        await write(ready);
        assert.deepEqual(await types(), ['Ready', 'Stalled', 'Reconciling']);
        await write({ observedGeneration: 1, conditions: [condition('Ready', 'True')] });
        assert.deepEqual(await types(), ['Ready']);
        assert.equal((await object('a')).status?.nextScheduleTime, undefined);
      }));
    const types = async () => (await raw('a')).status.conditions.map(({ type }) => type);

    test('a field that somebody else wrote into the status is taken over', () =>
      disposing(async () => {
        await apply('a', { every: '1h' });
        const patch = JSON.stringify({ status: { active: 99, missedRuns: 5 } });
        await kubectl('patch', 'st', 'a', '--subresource=status', '--type=merge', '-p', patch);
        await write({ ...ready, active: 1 });
        assert.equal((await object('a')).status?.active, 1);
      }));

    test('a condition of somebody else stays, and writing the same again makes no new version to fight over', () =>
      disposing(async () => {
        await apply('a', { every: '1h' });
        await write(ready);
        const conditions = [...(await raw('a')).status.conditions, condition('Foreign', 'True')];
        const patch = JSON.stringify({ status: { conditions } });
        await kubectl('patch', 'st', 'a', '--subresource=status', '--type=merge', '-p', patch);
        const before = await raw('a');
        assert.equal(await write(ready), 'applied');
        const now = await raw('a');
        assert.deepEqual(await types(), ['Ready', 'Stalled', 'Reconciling', 'Foreign']);
        assert.equal(now.metadata.resourceVersion, before.metadata.resourceVersion);
      }));

    test('a status that the server does not take is refused, and logged with its field', () =>
      disposing(async () => {
        await apply('a', { every: '1h' });
        const tooMany = Array.from({ length: 9 }, (_, n) => condition(`Kind${n}`, 'True'));
        assert.equal(await write({ observedGeneration: 1, conditions: tooMany }), 'refused');
        assert.match(logged.join(), /status\.conditions/);
        assert.match(logged.join(), new RegExp(`${namespace}/a`));
      }));

    test('an account without the right is told so, and everything waits', () =>
      disposing(async () => {
        await apply('a', { every: '1h' });
        const { uid, resourceVersion } = (await raw('a')).metadata;
        const other = await plane.namespace('other');
        const request = { namespace: other, name: 'a', uid, resourceVersion, status: ready };
        await assert.rejects(store.apply(request), (error) => {
          assert.ok(error instanceof TidemillError);
          assert.equal(error.code, 'KUBE_FORBIDDEN');
          return true;
        });
      }));
  });
});

function condition(type: string, status: 'True' | 'False') {
  return { type, status, reason: 'Test', message: '', lastTransitionTime: '2026-03-01T08:00:00Z' };
}
