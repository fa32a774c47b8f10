/** Wrong and hostile manifests, all at once: each is refused by the server or told of in a condition that names the field, and the controller works on. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { toScheduledObject } from '../../../src/kube/to-scheduled-object.ts';
import { GROUP, KIND, PLURAL, VERSION } from '../../../src/resource/scheduled-task.ts';
import { ScheduledTaskStatusSchema } from '../../../src/resource/status-schema.ts';
import { assertPlain, assertUnpolluted } from '../../corpus/case.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet } from './controllers.ts';
import { manifestCases } from './manifest-cases.ts';
import { RawApi } from './raw-api.ts';

const GOOD = { task: 'work', every: '500ms', params: { ms: 1 }, concurrencyPolicy: 'Allow' };
/** What a terminal obeys, or shows in another order than it stands. */
const UNPRINTABLE = /[^\P{Cc}\n]|[\u2028-\u202e\u2066-\u2069\ufeff]/u;

const ObjectSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string(), generation: z.number() }),
  status: ScheduledTaskStatusSchema.default({}),
});
const EventsSchema = z.object({
  items: z.array(z.object({ type: z.string(), note: z.string(), regarding: z.object({ name: z.string() }) })),
});
type Stored = z.output<typeof ObjectSchema>;

describe('bad manifests', () => {
  let fleet: ControllerFleet;
  let controller: Controller;
  let api: RawApi;
  before(async () => {
    fleet = await ControllerFleet.start();
    await fleet.consumer();
    controller = await fleet.controller(['--log-level', 'debug']);
    await fleet.leads(controller);
    api = await RawApi.connect(fleet.plane, fleet.namespace);
  });
  after(async () => {
    api[Symbol.dispose]();
    await fleet[Symbol.asyncDispose]();
  });

  const stored = async (): Promise<readonly Stored[]> =>
    (await api.list()).map((item) => ObjectSchema.parse(item));
  const readyOf = ({ status }: Stored) => status.conditions?.find(({ type }) => type === 'Ready');

  /** Notes of events by the names of their objects. */
  const eventsOf = async (type: string): Promise<ReadonlyMap<string, readonly string[]>> => {
    const { items } = EventsSchema.parse(
      JSON.parse(await fleet.kubectl('get', 'events.events.k8s.io', '-o', 'json')),
    );
    const ofType = items.filter((event) => event.type === type);
    const byName = Map.groupBy(ofType, ({ regarding }) => regarding.name);
    return new Map([...byName].map(([name, events]) => [name, events.map(({ note }) => note)]));
  };

  /** All that is stored, once the controller has seen the newest of each. */
  const judged = async (): Promise<ReadonlyMap<string, Stored>> => {
    let waiting: readonly Stored[] = [];
    return await until(
      'every object has conditions for its generation',
      async () => {
        const objects = await stored();
        waiting = objects.filter(({ metadata, status }) => status.observedGeneration !== metadata.generation);
        return waiting.length === 0 && new Map(objects.map((object) => [object.metadata.name, object]));
      },
      {
        describe: () =>
          `${waiting.length} wait, such as ${waiting[0]?.metadata.name ?? ''}\n${controller.process.lines.slice(-10).join('\n')}`,
      },
    );
  };

  /** The very process that was started serves: a new object fires. */
  const assertServes = async (name: string): Promise<void> => {
    assert.ok(controller.process.running, '0 restarts');
    assert.equal((await fetch(`${controller.http}/healthz`)).status, 200);
    assert.equal((await fetch(`${controller.http}/readyz`)).status, 200);
    await fleet.apply({ [name]: GOOD });
    const uid = await fleet.uidOf(name);
    await fleet.adopted([uid], 1);
    await fleet.settled([uid], (await fleet.broker.now()) + 1_000);
    await fleet.kubectl('wait', '--for=condition=Ready', `st/${name}`, '--timeout=30s');
  };

  /** Whatever was put in, what comes out is short, plain and whole. */
  const assertHarmless = async (): Promise<void> => {
    for (const line of controller.process.lines) {
      assert.doesNotThrow(() => void JSON.parse(line), line);
      assert.doesNotMatch(line, UNPRINTABLE);
      assert.ok(line.length < 20_000, `a line of ${line.length} characters`);
    }
    for (const { status } of await stored()) {
      for (const { message } of status.conditions ?? []) assertPlain(message);
      assertPlain(status.lastTrigger?.message ?? '');
      assert.doesNotMatch(JSON.stringify(status), UNPRINTABLE);
    }
    const events = await fleet.kubectl('get', 'events.events.k8s.io', '-o', 'jsonpath={.items[*].note}');
    assert.doesNotMatch(events, UNPRINTABLE);
    for (const item of await api.list()) {
      toScheduledObject(item);
      assertUnpolluted();
    }
  };

  test('of the whole corpus, each is refused or has a condition that names the field', async (t) => {
    const cases = manifestCases();
    const answers = await Promise.all(cases.map(({ name, yaml }) => api.apply(name, yaml)));
    const objects = await judged();
    const counts = { refused: 0, told: 0, served: 0 };
    const wrong: string[] = [];
    for (const [index, { what, name, names }] of cases.entries()) {
      const answer = answers[index];
      const ready = objects.get(name);
      const condition = ready === undefined ? undefined : readyOf(ready);
      const message = answer?.message === '' ? (condition?.message ?? '') : (answer?.message ?? '');
      const kind = ready === undefined ? 'refused' : condition?.status === 'True' ? 'served' : 'told';
      counts[kind] += 1;
      const fits = names === undefined ? kind === 'served' : kind !== 'served' && names.test(message);
      // For a field of another type, or of none, the server's own answer to an apply is a 500 that says so.
      const isOrderly =
        (answer?.code ?? 0) < 500 || message.startsWith('failed to create typed patch object');
      if (!fits || !isOrderly) wrong.push(`${what}: ${kind}, ${answer?.code ?? 0} ${message.slice(0, 300)}`);
    }
    t.diagnostic(
      `${cases.length} manifests: refused by the server ${counts.refused}, told of in a condition ${counts.told}, served ${counts.served}`,
    );
    assert.deepEqual(wrong, []);
    await assertServes('after-corpus');
    await assertHarmless();
  });

  describe('stored by an older, laxer CRD', () => {
    /** Whatever the rules said, and whatever the types. */
    const LAX: Readonly<Record<string, readonly [spec: unknown, names: RegExp]>> = {
      'lax-every': [{ ...GOOD, every: '1d' }, /spec\.every/],
      'lax-both': [{ ...GOOD, schedule: '@daily' }, /spec.*not both/],
      'lax-neither': [{ task: 'work' }, /spec.*one of schedule or every/],
      'lax-task': [{ ...GOOD, task: '../x' }, /spec\.task/],
      'lax-no-task': [{ every: '1h' }, /spec\.task/],
      'lax-queue': [{ ...GOOD, queue: 'a}{b' }, /spec\.queue/],
      'lax-zone': [{ task: 'work', schedule: '@daily', timeZone: '../etc/passwd' }, /spec\.timeZone/],
      'lax-offset': [{ ...GOOD, offset: '2h' }, /spec\.offset/],
      'lax-policy': [
        { ...GOOD, missedRunPolicy: 'All', concurrencyPolicy: 'Forbid' },
        /spec\.missedRunPolicy/,
      ],
      'lax-choice': [{ ...GOOD, priority: 'urgent' }, /spec\.priority/],
      'lax-window': [
        { ...GOOD, startTime: '2030-01-01T00:00:00Z', endTime: '2029-01-01T00:00:00Z' },
        /spec\.endTime/,
      ],
      'lax-number': [{ ...GOOD, every: 5 }, /spec\.every/],
      'lax-suspend': [{ ...GOOD, suspend: 'yes' }, /spec\.suspend/],
      'lax-params': [{ ...GOOD, params: [1] }, /spec\.params/],
      'lax-keys': [
        { ...GOOD, params: Object.fromEntries(Array.from({ length: 99 }, (_, at) => [`k${at}`, 1])) },
        /spec\.params/,
      ],
      'lax-list': [[1], /spec/],
      'lax-text': ['every 1h', /spec/],
      'lax-none': [undefined, /spec/],
    };

    test('each is stalled, with the field in its message, and its neighbours fire on', async (t) => {
      await fleet.apply({ neighbour: GOOD });
      const neighbour = await fleet.uidOf('neighbour');
      await fleet.adopted([neighbour], 1);
      // What is stored is met by a controller that knows only the CRD of today.
      await fleet.stop(controller);
      await fleet.plane.apply([laxCrd()]);
      const manifest = (name: string, spec: unknown): string =>
        JSON.stringify({
          apiVersion: 'tidemill.dev/v1alpha1',
          kind: 'ScheduledTask',
          metadata: { name },
          spec,
        });
      for (const [name, [spec]] of Object.entries(LAX)) {
        let refusal = '';
        await until(
          `${name} is taken`,
          async () => {
            const { code, message } = await api.create(manifest(name, spec));
            refusal = message;
            return code === 201;
          },
          { describe: () => refusal },
        );
      }
      await fleet.plane.applyCrd();
      controller = await fleet.controller(['--log-level', 'debug']);
      // Where the API server takes no status for an object that breaks its rules, an event tells of it.
      let told: Readonly<Record<string, 'condition' | 'event' | 'nothing'>> = {};
      await until(
        'each is told of',
        async () => {
          const objects = new Map((await stored()).map((object) => [object.metadata.name, object]));
          const warnings = await eventsOf('Warning');
          told = Object.fromEntries(
            Object.entries(LAX).map(([name, [, names]]) => {
              const conditions = objects.get(name)?.status.conditions ?? [];
              const stalled = conditions.find(({ type }) => type === 'Stalled');
              if (stalled?.status === 'True' && names.test(stalled.message)) return [name, 'condition'];
              const isNamed = (warnings.get(name) ?? []).some((note) => names.test(note));
              return [name, isNamed ? 'event' : 'nothing'];
            }),
          );
          return !Object.values(told).includes('nothing');
        },
        { describe: () => JSON.stringify(told) },
      );
      const by = (how: string): number => Object.values(told).filter((one) => one === how).length;
      t.diagnostic(
        `${Object.keys(LAX).length} objects that the rules refuse: stalled with the field ${by('condition')}, of the others an event names it ${by('event')}`,
      );
      assert.ok(by('condition') >= Object.keys(LAX).length / 2, JSON.stringify(told));
      const uids = await fleet.uids();
      const states = await fleet.queue.schedules.states(Object.keys(LAX).map((name) => uids.get(name) ?? ''));
      assert.ok(
        states.every((state) => (state?.fired ?? 0) === 0),
        'none of them fires',
      );
      await fleet.settled([neighbour], (await fleet.broker.now()) + 1_000);
      await assertServes('after-lax');
      await assertHarmless();
    });
  });

  test('hostile names, annotations and labels do no harm in log, status and events', async () => {
    const long = 'x'.repeat(200_000);
    const annotations: readonly Readonly<Record<string, string>>[] = [
      { 'tidemill.dev/run-now': long },
      { 'tidemill.dev/run-now': '\u0000\u001b[31m\u202e\u2028' },
      { 'tidemill.dev/run-now': 'a', 'tidemill.dev/run-now-params': '{"__proto__":{"polluted":1}}' },
      { 'tidemill.dev/run-now': 'a', 'tidemill.dev/run-now-params': '['.repeat(200_000) },
      { 'tidemill.dev/run-now': 'a', 'tidemill.dev/run-now-params': `{"ms":"${long}"}` },
      { 'tidemill.dev/run-now': 'a', 'tidemill.dev/run-now-params': '{"\u202eevil":1}' },
      { 'tidemill.dev/run-now': '__proto__', 'tidemill.dev/run-now-params': 'no JSON \u001b[2J' },
      { 'tidemill.dev/run-now': 'constructor', 'tidemill.dev/run-now-params': '{"ms":1}' },
      { 'tidemill.dev/proto': '{"__proto__":{"polluted":1}}', 'tidemill.dev/unknown': long },
    ];
    // Names that are also names of what every object inherits.
    const names = ['constructor', 'prototype', 'tostring', 'hasownproperty', 'a.b.c', '0', 'x', 'y', 'z'];
    await fleet.apply(Object.fromEntries(names.map((name) => [name, GOOD])));
    const uids = await fleet.uids();
    const own = names.map((name) => uids.get(name) ?? '');
    await fleet.adopted(own, 1);
    for (const [index, value] of annotations.entries())
      await fleet.apply({ [names[index] ?? '']: GOOD }, value);
    await fleet.settled(own, (await fleet.broker.now()) + 1_000);
    const isAnswered = async (): Promise<boolean> => {
      const objects = new Map((await stored()).map((object) => [object.metadata.name, object]));
      return names.slice(0, 8).every((name) => objects.get(name)?.status.lastTrigger?.state !== undefined);
    };
    await until('each request is answered', isAnswered);
    await assertServes('after-names');
    await assertHarmless();
  });
});

/** As an early version might have been: any spec, no rules. */
function laxCrd(): object {
  const anything = { 'x-kubernetes-preserve-unknown-fields': true };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        ...{ plural: PLURAL, singular: 'scheduledtask', kind: KIND, listKind: `${KIND}List` },
        ...{ shortNames: ['st'], categories: ['tidemill'] },
      },
      versions: [
        {
          ...{ name: VERSION, served: true, storage: true, subresources: { status: {} } },
          schema: { openAPIV3Schema: { type: 'object', properties: { spec: anything, status: anything } } },
        },
      ],
    },
  };
}
