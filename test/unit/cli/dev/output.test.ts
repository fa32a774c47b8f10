import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DevConsole } from '../../../../src/cli/dev/console.ts';
import { consumerTeller, type DevEvent, engineTeller } from '../../../../src/cli/dev/events.ts';
import { prettyLogLine } from '../../../../src/cli/dev/pretty-log.ts';
import { renderEvent } from '../../../../src/cli/dev/render.ts';
import { Tally } from '../../../../src/cli/dev/tally.ts';
import type { RunFinishedEvent } from '../../../../src/consumer/observer.ts';
import type { RunRecord } from '../../../../src/task/run.ts';
import { fakeIo } from '../../../support/fake-io.ts';

const T = Date.parse('2026-03-01T12:00:00Z');
const plain = { color: false };
/** Without the time, which is local. */
const rendered = (event: DevEvent): string => renderEvent(event, plain).slice(13);

const record: RunRecord = {
  id: 'default:1',
  queue: 'default',
  task: 'send-alert',
  priority: 'high',
  state: 'running',
  params: '{}',
  options: { source: 'schedule', schedule: { uid: 'u', namespace: 'harbour', name: 'alerts', slotMs: T } },
  attempt: 2,
  deaths: 0,
  enqueuedAtMs: T,
};
const finished = (outcome: RunFinishedEvent['outcome']): RunFinishedEvent => ({
  queue: 'default',
  task: 'send-alert',
  executor: 'io',
  record,
  waitMs: 1,
  durationMs: 41.7,
  outcome,
});

function eventsOf(outcome: RunFinishedEvent['outcome']): DevEvent {
  const events: DevEvent[] = [];
  consumerTeller(
    (event) => events.push(event),
    () => T,
  ).runFinished?.(finished(outcome));
  assert.equal(events.length, 1);
  return events[0]!;
}

describe('what dev says of a run', () => {
  const error = { reason: 'Error', name: 'TypeError', message: 'siren is cold\nreally' } as const;
  const cases: readonly (readonly [RunFinishedEvent['outcome'], RegExp])[] = [
    [{ kind: 'succeeded' }, /^✔ send-alert +succeeded in 42ms at attempt 2 · harbour\/alerts\n$/],
    [
      { kind: 'retry', error, delayMs: 420 },
      /^↻ send-alert +attempt 2 failed after 42ms: TypeError: siren is cold\\nreally; again in 420ms · harbour\/alerts\n$/,
    ],
    [
      { kind: 'failed', error: { ...error, reason: 'Timeout' } },
      /^✖ send-alert +failed after 42ms at attempt 2: Timeout: siren/,
    ],
    [{ kind: 'rejected', error: { ...error, reason: 'InvalidParams' } }, /refused its params: InvalidParams/],
    [{ kind: 'cancelled', reason: 'wrong month' }, /cancelled after 42ms: wrong month/],
    [{ kind: 'released' }, /given back after 42ms/],
    [{ kind: 'lost' }, /lost after 42ms: its lease was gone/],
  ];
  for (const [outcome, pattern] of cases) {
    test(`${outcome.kind}, on one line`, () => {
      const line = rendered(eventsOf(outcome));
      assert.match(line, pattern);
      assert.equal(line.split('\n').length, 2);
    });
  }
});

describe('what dev says of schedules', () => {
  test('fired, skipped and missed slots name schedule, task and reason', () => {
    const lines: string[] = [];
    const ref = { uid: 'u', namespace: 'harbour', name: 'tides', queue: 'q', task: 'fetch' };
    const teller = engineTeller(
      (event) => lines.push(rendered(event)),
      () => T,
      () => 'every 3s',
    );
    teller.adopted?.({ ...ref, generation: 1, suspended: true, forced: false });
    teller.fired?.({ ...ref, slotMs: T, runId: 'r', reason: 'CatchUp', lagMs: 5, delayMs: 1_500 });
    teller.skipped?.({ ...ref, slotMs: T, reason: 'Overlap' });
    teller.missed?.({ ...ref, fromMs: T, toMs: T + 1, count: 12, countIsExact: true, reason: 'Superseded' });
    assert.deepEqual(
      lines.map((line) => line.replace(/ {2,}/, ' ').trim()),
      [
        '+ harbour/tides every 3s → fetch (suspended)',
        '▸ harbour/tides fires fetch (CatchUp, in 1.5s)',
        '○ harbour/tides skipped: Overlap',
        '○ harbour/tides missed 12 slots: Superseded',
      ],
    );
  });
});

describe('the log in dev', () => {
  const line = (fields: Record<string, unknown>): string =>
    JSON.stringify({ level: 'info', time: '2026-03-01T12:00:00.000Z', msg: 'm', ...fields });

  test('what a task says is shown with its fields, bound ones left out', () => {
    const shown = prettyLogLine(
      line({ task: 'fetch', run: 'r', queue: 'q', attempt: 1, station: 'north pier', count: 96 }),
      plain,
    );
    assert.match(shown ?? '', /· fetch +m station="north pier" count=96\n$/);
  });

  test('our own information is left to the events, our warnings are shown', () => {
    assert.equal(prettyLogLine(line({ queue: 'q' }), plain), undefined);
    assert.match(
      prettyLogLine(line({ level: 'warn', err: { message: 'away', stack: 'long' } }), plain) ?? '',
      /! tidemill +m err="away"/,
    );
  });
});

describe('dev console', () => {
  test('with --json everything is one JSON object a line, the log and the summary included', () => {
    const { io, stdout } = fakeIo();
    using console = new DevConsole({ io, json: true, level: 'info' });
    console.tell({ atMs: T, event: 'fired', schedule: 'a/b', task: 't', slotMs: T, delayMs: 0 });
    console.log.info('hello');
    console.tell({
      atMs: T,
      ...({ event: 'run', outcome: 'succeeded', run: 'r', task: 't', attempt: 1, durationMs: 5 } as const),
    });
    console.summarise(T);
    const lines = stdout()
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Record<string, unknown>);
    assert.deepEqual(lines[0], {
      time: '2026-03-01T12:00:00.000Z',
      event: 'fired',
      schedule: 'a/b',
      task: 't',
      slot: '2026-03-01T12:00:00.000Z',
      delayMs: 0,
    });
    assert.equal(lines[1]?.['msg'], 'hello');
    assert.equal(lines[3]?.['event'], 'summary');
    assert.deepEqual(lines[3]['tasks'], [
      { task: 't', succeeded: 1, failed: 0, retried: 0, other: 0, totalMs: 5, longestMs: 5 },
    ]);
  });

  test('on a terminal the line of what is next stays below the others', async () => {
    const { io, stdout } = fakeIo({ isTerminal: true });
    {
      using console = new DevConsole({ io, json: false, level: 'info' });
      console.watch(() => 'next: a/b in 2s');
      while (!stdout().includes('next: a/b')) await new Promise((resolve) => setImmediate(resolve));
      console.tell({ atMs: T, event: 'unscheduled', schedule: 'a/b' });
    }
    const CLEAR = '\r\u001b[2K';
    assert.match(stdout(), /is gone\nnext: a\/b in 2s/);
    assert.ok(stdout().endsWith(CLEAR), 'it is gone at the end');
  });
});

describe('tally', () => {
  test('counts attempts by task and slots by schedule', () => {
    const tally = new Tally();
    const run = (outcome: 'succeeded' | 'retry' | 'lost', durationMs: number): void =>
      tally.add({ atMs: T, event: 'run', outcome, run: 'r', task: 't', attempt: 1, durationMs });
    run('succeeded', 10);
    run('retry', 30);
    run('lost', 20);
    tally.add({
      atMs: T,
      event: 'missed',
      schedule: 'a/b',
      task: 't',
      fromMs: T,
      toMs: T,
      count: 7,
      reason: 'Late',
    });
    tally.add({ atMs: T, event: 'fired', schedule: 'a/b', task: 't', slotMs: T, delayMs: 0 });
    assert.match(tally.render(), /^a\/b +1 +0 +7$/m);
    assert.match(tally.render(), /^t +1 +0 +1 +1 +20ms +30ms$/m);
  });
});
