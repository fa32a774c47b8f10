/** An API server that answers 429 or 500 to everything for a while, or whose watch is dead without a sign: no storm of ours, and all converges after. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiFault, ApiProxy, type SeenRequest } from '../../control-plane/api-proxy.ts';
import type { ApiRequest } from '../../control-plane/api-request.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet, QUEUE } from './controllers.ts';
import { metricOf } from './metrics-of.ts';

const STORM_MS = 20_000;
const CONVERGED_MS = 60_000;
/** Timers and the wire make a second a little shorter, as the proxy sees it. */
const SECOND_MS = 980;
const RETRY_AFTER_SECONDS = 3;
const STEADY_MS = 6_000;
const OBJECTS = 8;
const EVERY = '500ms';

const STORMS: Readonly<Record<string, ApiFault>> = {
  '500': { kind: 'answer', code: 500 },
  '429': { kind: 'answer', code: 429 },
  '429 with Retry-After': {
    ...{ kind: 'answer', code: 429 },
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  },
};

const SCOPES: Readonly<Record<string, (request: ApiRequest) => boolean>> = {
  everything: () => true,
  'lists and watches': ({ verb }) => verb === 'list' || verb === 'watch',
  'writes of statuses': ({ subresource }) => subresource === 'status',
};

const spec = (by: string): object => ({
  ...{ task: 'tick', every: EVERY, params: { by }, queue: QUEUE },
  ...{ concurrencyPolicy: 'Allow', missedRunPolicy: 'All' },
});
const NAMES = Array.from({ length: OBJECTS }, (_, index) => `object-${index}`);

describe('an API server that is unwell', { concurrency: true }, () => {
  let host: ControllerFleet;
  before(async () => {
    host = await ControllerFleet.start();
  });
  after(() => host[Symbol.asyncDispose]());

  test('a watch that is dead without a sign: a change is seen within a minute', async (t) => {
    await using patient = await startPatient();
    const { fleet, proxy } = patient;
    await until('the watch is open', () => proxy.openWatches === 1);
    using _fault = proxy.fault({ kind: 'silence' }, { match: { verb: 'watch' }, times: 1 });
    const beganMs = performance.now();
    await edit(fleet, NAMES, 'silence');
    await inForce(patient, NAMES, 2);
    const seenMs = Math.round(performance.now() - beganMs);
    t.diagnostic(`the change was in force after ${seenMs} ms, with ${proxy.count({ verb: 'list' })} lists`);
    assert.ok(seenMs <= 60_000);
  });

  for (const [name, fault] of Object.entries(STORMS)) {
    test(`${name}: asked no more than once a second for the same thing, and converges after`, async (t) => {
      await using patient = await startPatient();
      const { fleet, proxy, controller } = patient;
      let generation = 1;
      for (const [scope, matches] of Object.entries(SCOPES)) {
        generation += 1;
        await watchesSteadily(patient);
        proxy.forget();
        const storm = proxy.fault(fault, { match: matches });
        // What is open already would not meet the storm.
        if (scope !== 'writes of statuses') proxy.cut();
        await edit(fleet, NAMES.slice(0, OBJECTS / 2), `${scope} before`);
        await delay(STORM_MS);
        const during = [...proxy.seen].filter(matches);
        storm[Symbol.dispose]();
        const endedMs = performance.now();

        const gaps = shortestGaps(during);
        const [thing = '', gapMs = Number.POSITIVE_INFINITY] = gaps[0] ?? [];
        const least = fault.kind === 'answer' && fault.headers ? RETRY_AFTER_SECONDS * SECOND_MS : SECOND_MS;
        assert.ok(during.length > 0, 'the storm met something');
        assert.ok(gapMs >= SECOND_MS, `${scope}: ${thing} was asked again after ${gapMs} ms`);
        for (const [what, ms] of gaps)
          if (!what.includes('leases'))
            assert.ok(ms >= least, `${scope}: ${what} was asked again after ${ms} ms`);

        await inForce(patient, NAMES.slice(0, OBJECTS / 2), generation);
        await toldOf(fleet, NAMES.slice(0, OBJECTS / 2), generation);
        await leadsAgain(patient);
        t.diagnostic(
          `${scope}: ${during.length} requests in ${STORM_MS} ms, the shortest gap ${Math.round(gapMs)} ms (${thing}); converged after ${Math.round(performance.now() - endedMs)} ms`,
        );
      }
      const uids = [...(await fleet.uids()).values()];
      const untilMs = await fleet.broker.now();
      await fleet.settled(uids, untilMs);
      const { slots, undecided, doubled } = await fleet.account(uids, EVERY, untilMs);
      t.diagnostic(`${slots} slots: without a decision ${undecided}, doubled ${doubled}`);
      assert.deepEqual({ undecided, doubled }, { undecided: 0, doubled: 0 });
      assert.equal(await metricOf(controller, 'leader_election_master_status'), 1);
    });
  }

  interface Patient extends AsyncDisposable {
    readonly fleet: ControllerFleet;
    readonly proxy: ApiProxy;
    readonly controller: Controller;
  }

  /** A controller behind a proxy of its own, with objects that it fires. */
  async function startPatient(): Promise<Patient> {
    const fleet = await ControllerFleet.guest(host.plane);
    const proxy = await ApiProxy.start(host.plane);
    const controller = await fleet.controller([], { through: proxy });
    await fleet.leads(controller);
    await fleet.apply(Object.fromEntries(NAMES.map((name) => [name, spec('none')])));
    await fleet.settled([...(await fleet.uids()).values()], await fleet.broker.now());
    await toldOf(fleet, NAMES, 1);
    return {
      ...{ fleet, proxy, controller },
      [Symbol.asyncDispose]: async () => {
        await fleet[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
      },
    };
  }

  const edit = (fleet: ControllerFleet, names: readonly string[], by: string): Promise<void> =>
    fleet.apply(Object.fromEntries(names.map((name) => [name, spec(by)])));

  async function inForce(
    { fleet, controller }: Patient,
    names: readonly string[],
    generation: number,
  ): Promise<void> {
    const uids = await fleet.uids();
    await until(
      `generation ${generation} is in force`,
      async () => {
        const states = await fleet.queue.schedules.states(names.map((name) => uids.get(name) ?? ''));
        return states.every((state) => state?.generation === generation);
      },
      { deadlineMs: CONVERGED_MS, describe: () => controller.process.lines.slice(-8).join('\n') },
    );
  }

  async function toldOf(fleet: ControllerFleet, names: readonly string[], generation: number): Promise<void> {
    await until(
      `the status tells of generation ${generation}`,
      async () => {
        const text = await fleet.kubectl(
          ...['get', 'st', ...names, '-o', 'jsonpath={.items[*].status.observedGeneration}'],
        );
        return text.split(' ').every((seen) => Number(seen) === generation);
      },
      { deadlineMs: CONVERGED_MS },
    );
  }

  /** Its watch is past the age at which the end of one counts as a failure like those before. */
  async function watchesSteadily({ proxy }: Patient): Promise<void> {
    await until('the watch has been open for a while', () => {
      const newest = proxy.seen.findLast(({ verb }) => verb === 'watch');
      return proxy.openWatches === 1 && newest?.code === 200 && performance.now() - newest.atMs > STEADY_MS;
    });
  }

  /** Its Lease is renewed, and it still leads. */
  async function leadsAgain({ proxy, controller }: Patient): Promise<void> {
    const sinceMs = performance.now();
    await until('the Lease is renewed', () =>
      proxy.seen.some(
        ({ resource, verb, code, atMs }) =>
          resource === 'leases' && verb === 'update' && code === 200 && atMs >= sinceMs,
      ),
    );
    assert.equal(await metricOf(controller, 'leader_election_master_status'), 1);
  }
});

/** For each thing that was asked for more than once, the shortest time between two requests, ms; the shortest first. */
function shortestGaps(requests: readonly SeenRequest[]): readonly (readonly [string, number])[] {
  const times = new Map<string, number[]>();
  for (const { verb, resource, subresource, name, atMs } of requests) {
    const thing = [verb, resource, name, subresource].filter((part) => part !== undefined).join(' ');
    times.set(thing, [...(times.get(thing) ?? []), atMs]);
  }
  return [...times]
    .filter(([, asked]) => asked.length > 1)
    .map(([thing, asked]): readonly [string, number] => [
      thing,
      Math.min(...asked.slice(1).map((atMs, index) => atMs - (asked[index] ?? 0))),
    ])
    .sort(([, one], [, other]) => one - other);
}
