/** How statuses reach an API server that is slow, wrong, busy or away, without a storm and without a stale write. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { StatusReporter, type StatusReporterOptions } from '../../../src/controller/status-reporter.ts';
import type { StatusLane } from '../../../src/controller/status-store.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import {
  NEVER_SEEN,
  reportOn,
  type ReportInput,
  StatusServer,
  type ObjectInput,
} from '../../support/reports.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const START = Date.parse('2026-03-01T08:00:00Z');

describe('the status reporter', () => {
  let clock: VirtualClock;
  let server: StatusServer;
  let reporter: StatusReporter;
  let stop: AbortController;
  let running: Promise<void>;

  const start = (options: Partial<StatusReporterOptions> = {}, mayFlush?: () => boolean): void => {
    stop = new AbortController();
    reporter = new StatusReporter({ source: server, store: server, clock, log: silentLog, ...options });
    running = reporter.run(stop.signal, mayFlush);
  };
  const finish = async (): Promise<void> => {
    stop.abort();
    // Virtual time must pass for a flush to give up.
    const ended = running.then(() => 'ended');
    await clock.advanceBy(10 * SECOND);
    assert.equal(await ended, 'ended');
  };
  /** Reports on the object as the source shows it, unless another is given. */
  const report = (input: ReportInput = {}, name = 'a'): void => {
    const object = input.object ?? server.get(`default/${name}`);
    assert.ok(object);
    reporter.report(reportOn(object, input));
  };
  const writeCount = (): number => server.writes.length;
  const readyReason = (name = 'a') =>
    server.stored(name)?.conditions?.find(({ type }) => type === 'Ready')?.reason;

  beforeEach(() => {
    clock = new VirtualClock(START);
    server = new StatusServer();
    start();
  });
  afterEach(finish);

  const create = (input: ObjectInput = {}) => server.put(input);

  test('a first report is written at once, and the same level is not written again', async () => {
    create();
    report();
    await clock.advanceBy(10);
    assert.equal(server.stored()?.observedGeneration, 1);
    for (let n = 0; n < 100; n += 1) {
      report();
      await clock.advanceBy(SECOND);
    }
    assert.equal(server.writes.length, 1);
  });

  test('of reports that come faster than they can be written only the newest counts', async () => {
    create();
    let answer: ((value: undefined) => void) | undefined;
    server.answer = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    report();
    await clock.advanceBy(10);
    for (const reason of ['UnknownTask', 'InvalidParams', 'QueueNotAllowed'] as const) report({ reason });
    server.answer = () => undefined;
    answer?.(undefined);
    await clock.advanceBy(2 * SECOND);
    assert.equal(readyReason(), 'QueueNotAllowed');
    assert.equal(server.writes.length, 2);
  });

  test('a change of Ready overtakes any number of refreshes', async () => {
    for (let n = 0; n < 300; n += 1) create({ name: `n${n}` });
    for (let n = 0; n < 300; n += 1) report({}, `n${n}`);
    await clock.advanceBy(5 * SECOND);
    assert.equal(writeCount(), 300);
    for (let n = 0; n < 300; n += 1) report({ lastFiredSlotMs: START }, `n${n}`);
    await clock.advanceBy(10 * SECOND);
    report({ reason: 'QueueNotAllowed' }, 'n299');
    await clock.advanceBy(20);
    assert.equal(readyReason('n299'), 'QueueNotAllowed');
    assert.ok(writeCount() < 600, 'refreshes still wait');
  });

  test('a fast schedule is refreshed once in 30 s, a slow one 5 s after its last write', async () => {
    create({ name: 'fast', spec: { every: '1s' } });
    create({ name: 'slow', spec: { every: '1m' } });
    report({}, 'fast');
    report({}, 'slow');
    await clock.advanceBy(100);
    report({ recent: [], lastMissedSlotMs: START }, 'fast');
    await clock.advanceBy(6 * SECOND);
    assert.equal(
      server.writes.filter(({ name }) => name === 'fast').length,
      2,
      'the first refresh comes soon',
    );
    const writesOf = (name: string) => server.writes.filter((write) => write.name === name).length;
    for (let n = 1; n <= 120; n += 1) {
      report({ lastFiredSlotMs: START + n * SECOND }, 'fast');
      if (n % 60 === 0) report({ lastFiredSlotMs: START + n * SECOND }, 'slow');
      await clock.advanceBy(SECOND);
    }
    assert.ok(writesOf('fast') >= 4 && writesOf('fast') <= 6, `${writesOf('fast')}`);
    assert.equal(writesOf('slow'), 3);
  });

  test('a conflict waits for the newer version, and meanwhile no key is tried more than once a second', async () => {
    create();
    server.watching = false;
    create({ generation: 1 }); // another version that the watch has not shown
    report();
    await clock.advanceBy(10 * SECOND);
    assert.ok(server.outcomes.every((outcome) => outcome === 'conflict'));
    assert.ok(server.writes.length <= 5, `${server.writes.length} tries in 10 s`);
    server.watching = true;
    server.show('default/a');
    await clock.advanceBy(SECOND);
    assert.equal(server.outcomes.at(-1), 'applied');
  });

  test('while the watch lags behind our own write, that write is what the object says', async () => {
    create();
    server.watching = false;
    report();
    for (let n = 0; n < 10; n += 1) {
      await clock.advanceBy(SECOND);
      report();
    }
    assert.equal(server.writes.length, 1);
  });

  test('a foreign change of the status is mended', async () => {
    create();
    report();
    await clock.advanceBy(10);
    create({ status: { observedGeneration: 7 } });
    await clock.advanceBy(2 * SECOND);
    assert.equal(server.stored()?.observedGeneration, 1);
  });

  test('a condition of somebody else, which an apply cannot take away, is not fought over', async () => {
    server.foreign = [{ ...NEVER_SEEN.conditions![0]!, type: 'Foreign' }];
    create({ status: { ...NEVER_SEEN, conditions: server.foreign } });
    report();
    await clock.advanceBy(10 * MINUTE);
    assert.ok(writeCount() <= 3, `${writeCount()} writes`);
    assert.equal(readyReason(), 'Scheduled');
  });

  test('the status of an object that was deleted and made again never gets a report on the old one', async () => {
    const old = create({ uid: 'old' });
    server.delete('default/a');
    create({ uid: 'new' });
    report({ object: old, reason: 'QueueNotAllowed' });
    await clock.advanceBy(5 * SECOND);
    assert.equal(writeCount(), 0);
    report();
    await clock.advanceBy(10);
    assert.equal(server.writes[0]?.uid, 'new');
    assert.equal(readyReason(), 'Scheduled');
    report({ reason: 'Suspended' });
    reporter.gone(old);
    await clock.advanceBy(2 * SECOND);
    assert.equal(readyReason(), 'Suspended', 'the end of the old one concerns the new one not');
  });

  test('a report on a spec that was edited since is not written', async () => {
    const old = create();
    create({ generation: 2 });
    report({ object: old });
    await clock.advanceBy(5 * SECOND);
    assert.equal(writeCount(), 0);
  });

  test('an object that is gone is tried less and less, and dropped with the report of its end', async () => {
    const object = create();
    server.watching = false;
    server.delete('default/a');
    for (let n = 0; n < 60; n += 1) {
      report();
      await clock.advanceBy(SECOND);
    }
    assert.ok(server.outcomes.every((outcome) => outcome === 'gone'));
    assert.ok(server.writes.length <= 7, `${server.writes.length} tries in 60 s`);
    reporter.gone(object);
    const { length } = server.writes;
    await clock.advanceBy(5 * MINUTE);
    assert.equal(server.writes.length, length);
  });

  test('a status that the server refuses is not tried again for a minute, and holds back no other', async () => {
    create();
    create({ name: 'b' });
    server.answer = ({ name }) => (name === 'a' ? 'refused' : undefined);
    report();
    report({}, 'b');
    await clock.advanceBy(5 * SECOND);
    create(); // a newer version mends nothing
    await clock.advanceBy(54 * SECOND);
    assert.deepEqual(server.outcomes, ['refused', 'applied']);
    server.answer = () => undefined;
    await clock.advanceBy(2 * SECOND);
    assert.equal(server.outcomes.length, 3);
  });

  test('a server that is away is asked ever more seldom, and when it is back all is written', async () => {
    for (let n = 0; n < 200; n += 1) create({ name: `n${n}` });
    server.answer = () => {
      throw new Error('connection refused');
    };
    for (let n = 0; n < 200; n += 1) report({}, `n${n}`);
    await clock.advanceBy(2 * MINUTE);
    const tries = server.writes.length;
    assert.ok(tries <= 24 * 9, `${tries} tries in 2 minutes`);
    server.answer = () => undefined;
    await clock.advanceBy(2 * MINUTE);
    assert.equal(server.outcomes.filter((outcome) => outcome === 'applied').length, 200);
  });

  test('a server that names a time is left alone for that time', async () => {
    create();
    server.answer = () => {
      throw Object.assign(new Error('too many requests'), { retryAfterMs: 20 * SECOND });
    };
    report();
    await clock.advanceBy(10 * SECOND);
    create({ name: 'b' });
    report({}, 'b');
    await clock.advanceBy(9 * SECOND);
    assert.equal(writeCount(), 1);
    server.answer = () => undefined;
    await clock.advanceBy(2 * SECOND);
    assert.equal(writeCount(), 3);
  });

  test('when half of all calls fail it converges, and no key is tried twice within a second', async () => {
    const tries = new Map<string, number[]>();
    let calls = 0;
    server.answer = ({ name }) => {
      tries.set(name, [...(tries.get(name) ?? []), clock.monotonic()]);
      calls += 1;
      if (calls % 2 === 0) throw new Error('internal error');
      return undefined;
    };
    for (let n = 0; n < 100; n += 1) {
      create({ name: `n${n}` });
      report({}, `n${n}`);
    }
    await clock.advanceBy(5 * MINUTE);
    for (let n = 0; n < 100; n += 1) assert.equal(readyReason(`n${n}`), 'Scheduled');
    for (const times of tries.values())
      for (const [index, atMs] of times.entries())
        assert.ok(index === 0 || atMs - (times[index - 1] ?? 0) >= SECOND, times.join(' '));
  });

  test('at the stop what is urgent is still written, and what is not is left', async () => {
    create();
    create({ name: 'b' });
    report();
    await clock.advanceBy(10);
    report({ lastFiredSlotMs: START });
    report({}, 'b');
    await finish();
    assert.deepEqual(
      server.writes.map(({ name }) => name),
      ['a', 'b'],
    );
  });

  test('the stop does not wait for a server that never answers longer than its bound', async () => {
    create();
    server.answer = () => new Promise(() => undefined);
    report();
    await clock.advanceBy(10);
    stop.abort();
    let ended = false;
    void running.then(() => {
      ended = true;
    });
    await clock.advanceBy(1_900);
    assert.equal(ended, false);
    await clock.advanceBy(200);
    assert.equal(ended, true);
  });

  test('who lost the lead writes nothing more, and a report outside a term is ignored', async () => {
    await finish();
    start({}, () => false);
    create();
    create({ name: 'b' });
    report();
    stop.abort();
    await finish();
    report({}, 'b');
    stop = new AbortController();
    running = reporter.run(stop.signal);
    server.show('default/b');
    await clock.advanceBy(MINUTE);
    assert.equal(writeCount(), 0);
  });

  test('a new term begins with what the object says', async () => {
    create();
    report({ lastFiredSlotMs: START });
    await clock.advanceBy(10);
    await finish();
    start();
    report();
    await clock.advanceBy(MINUTE);
    assert.equal(server.writes.length, 1);
    assert.equal(server.stored()?.lastScheduleTime, '2026-03-01T08:00:00Z');
  });

  test('metrics see each write with its lane, and what waits', async () => {
    await finish();
    const wrote: string[] = [];
    const waiting: Readonly<Record<StatusLane, number>>[] = [];
    start({
      observer: {
        wrote: ({ lane, outcome }) => wrote.push(`${lane} ${outcome}`),
        waiting: (now) => waiting.push(now),
      },
    });
    create();
    report();
    await clock.advanceBy(10);
    report({ lastFiredSlotMs: START });
    await clock.advanceBy(SECOND);
    assert.deepEqual(waiting.at(-1), { urgent: 0, refresh: 1 });
    await clock.advanceBy(10 * SECOND);
    assert.deepEqual(wrote, ['urgent applied', 'refresh applied']);
    assert.deepEqual(waiting.at(-1), { urgent: 0, refresh: 0 });
  });
});
