/** An API server that is down for half a minute: schedules fire on as if nothing were, and everything catches up after. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet, QUEUE } from './controllers.ts';
import { metricOf } from './metrics-of.ts';

const AWAY_MS = 30_000;
/** A change after the return is taken in within this: the longest wait between two tries, and some. */
const TAKEN_IN_MS = 60_000;
/** A status is tried again after at most 30 s, and one of a fast schedule refreshed every 30 s. */
const STATUS_MS = 90_000;
/** From a slot until its run is in the queue; half a minute would make it a late one. */
const LATEST_MS = 5_000;

const FAST = Array.from({ length: 6 }, (_, index) => `fast-${index}`);
const STEADY = Array.from({ length: 20 }, (_, index) => `steady-${index}`);
const INTERVALS = { fast: '250ms', steady: '1s', edited: '400ms' };

function spec(every: string): object {
  return { task: 'tick', every, concurrencyPolicy: 'Allow', missedRunPolicy: 'All', queue: QUEUE };
}

describe('controllers without an API server', () => {
  let fleet: ControllerFleet;
  before(async () => {
    fleet = await ControllerFleet.start();
  });
  after(() => fleet[Symbol.asyncDispose]());

  test('schedules fire on time through 30 s without it, and status and changes catch up after', async (t) => {
    const controllers = [await fleet.controller(), await fleet.controller()];
    await fleet.apply({
      ...Object.fromEntries(FAST.map((name) => [name, spec(INTERVALS.fast)])),
      ...Object.fromEntries(STEADY.map((name) => [name, spec(INTERVALS.steady)])),
    });
    const uids = await fleet.uids();
    await fleet.settled([...uids.values()], await fleet.broker.now());
    await statusesSince(0);

    const leftMs = await fleet.broker.now();
    await fleet.plane.apiServer.kill();
    await delay(AWAY_MS);
    const goneMs = await fleet.broker.now();
    await fleet.settled([...uids.values()], goneMs - 1_000, 5_000);
    for (const { http } of controllers) assert.equal((await fetch(`${http}/healthz`)).status, 200);
    await fleet.plane.apiServer.start();
    const backMs = await fleet.broker.now();

    await Promise.all([changesAreTakenIn(t, uids), statusesSince(backMs)]);
    const statusMs = (await fleet.broker.now()) - backMs;
    await until('one of them holds the Lease', async () => (await leaders(controllers)) === 1);
    t.diagnostic(`all statuses were up to date, and all changes in force, ${statusMs} ms after the return`);

    await onTime(t, uids, { fromMs: leftMs, toMs: backMs });
    await account(t, uids);
  });

  const leaders = async (controllers: readonly Controller[]): Promise<number> => {
    const each = controllers.map((controller) => metricOf(controller, 'leader_election_master_status'));
    return (await Promise.all(each)).reduce((sum, one) => sum + one, 0);
  };

  /** Waits until every object's status tells of a slot after that instant. */
  async function statusesSince(sinceMs: number): Promise<void> {
    let behind: readonly string[] = [];
    await until(
      'the status of every object tells of its newest slots',
      async () => {
        const text = await fleet.kubectl(
          ...['get', 'st', '-o'],
          'jsonpath={range .items[*]}{.metadata.name} {.status.lastScheduleTime}{"\\n"}{end}',
        );
        const lines = text.split('\n').filter((line) => line !== '');
        behind = lines.filter((line) => !(Date.parse(line.split(' ')[1] ?? '') > sinceMs));
        return lines.length > 0 && behind.length === 0;
      },
      { deadlineMs: STATUS_MS, describe: () => `behind: ${behind.length}, such as ${behind[0] ?? ''}` },
    );
  }

  async function changesAreTakenIn(t: TestContext, uids: ReadonlyMap<string, string>): Promise<void> {
    const beganMs = performance.now();
    await fleet.apply({ 'steady-0': spec(INTERVALS.edited), late: spec(INTERVALS.steady) });
    await fleet.kubectl('delete', 'st', '--wait=false', 'steady-1');
    const late = await fleet.uidOf('late');
    const watched = [uids.get('steady-0') ?? '', uids.get('steady-1') ?? '', late];
    await until(
      'an edit, a deletion and a new object are in force',
      async () => {
        const [edited, deleted, created] = await fleet.queue.schedules.states(watched);
        return edited?.generation === 2 && deleted?.withdrawn === true && created?.generation === 1;
      },
      { deadlineMs: TAKEN_IN_MS },
    );
    t.diagnostic(
      `changes right after the return were in force after ${Math.round(performance.now() - beganMs)} ms`,
    );
  }

  /** Of all slots of the outage: none late. */
  async function onTime(
    t: TestContext,
    uids: ReadonlyMap<string, string>,
    { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  ): Promise<void> {
    const page = await fleet.queue.inspect.runs({ limit: 10_000 });
    assert.ok(page.complete, 'all runs were read');
    const lags = page.runs
      .flatMap(({ options, enqueuedAtMs }) => {
        const slotMs = options.schedule?.slotMs;
        return slotMs !== undefined && slotMs >= fromMs && slotMs < toMs ? [enqueuedAtMs - slotMs] : [];
      })
      .sort((one, other) => one - other);
    const least = ((toMs - fromMs) / 1_000 - 1) * (STEADY.length + 4 * FAST.length);
    t.diagnostic(
      `${lags.length} slots of ${uids.size} schedules in ${toMs - fromMs} ms without an API server; lag p50 ${quantile(lags, 0.5)} ms, p99 ${quantile(lags, 0.99)} ms, most ${quantile(lags, 1)} ms`,
    );
    assert.ok(lags.length >= least, `${lags.length} of at least ${least}`);
    assert.ok(quantile(lags, 1) <= LATEST_MS, `${quantile(lags, 1)} ms`);
  }

  async function account(t: TestContext, uids: ReadonlyMap<string, string>): Promise<void> {
    const untilMs = await fleet.broker.now();
    const same = [...uids].filter(([name]) => name !== 'steady-0' && name !== 'steady-1');
    await fleet.settled(
      same.map(([, uid]) => uid),
      untilMs,
    );
    const of = (names: readonly string[]): readonly string[] =>
      same.filter(([name]) => names.includes(name)).map(([, uid]) => uid);
    const fast = await fleet.account(of(FAST), INTERVALS.fast, untilMs);
    const steady = await fleet.account(of(STEADY), INTERVALS.steady, untilMs);
    const states = await fleet.queue.schedules.states(same.map(([, uid]) => uid));
    const fired = states.reduce((sum, state) => sum + (state?.fired ?? 0), 0);
    const active = states.reduce((sum, state) => sum + (state?.active ?? 0), 0);
    const missed = states.reduce((sum, state) => sum + (state?.missed ?? 0) + (state?.skipped ?? 0), 0);
    t.diagnostic(
      `${fast.slots + steady.slots} slots: without a decision ${fast.undecided + steady.undecided}, doubled ${fast.doubled + steady.doubled}, missed or skipped ${missed}; fired ${fired}, runs ${active}`,
    );
    for (const { undecided, doubled } of [fast, steady])
      assert.deepEqual({ undecided, doubled }, { undecided: 0, doubled: 0 });
    assert.equal(missed, 0, 'every slot fired');
    assert.equal(active, fired, 'each slot that fired has one run in the queue, and no other run is there');
  }
});

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
