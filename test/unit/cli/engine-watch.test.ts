import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchEngine } from '../../../src/cli/engine-watch.ts';
import { ScheduleBoard } from '../../../src/cli/schedule-board.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { SLOT_OUTCOMES } from '../../../src/telemetry/engine-metrics.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

const ref = { uid: 'u', namespace: 'sales', name: 'report', queue: 'default', task: 'render' };
const slot = { ...ref, slotMs: 1_000 };

test('each outcome of a slot that the metric names is counted by an event of the engine', async () => {
  const metrics = new Metrics({ clock: systemClock, log: silentLog, build: { version: '0' } });
  const observer = watchEngine(metrics, new ScheduleBoard());
  observer.adopted?.({ ...ref, generation: 1, suspended: false, forced: false });
  observer.fired?.({ ...slot, runId: 'r', reason: undefined, lagMs: 5, delayMs: 0 });
  observer.duplicate?.({ ...slot, count: 3 });
  observer.skipped?.({ ...slot, reason: 'Overlap' });
  observer.missed?.({ ...ref, fromMs: 0, toMs: 9, count: 4, countIsExact: true, reason: 'Late' });
  observer.stale?.({ ...ref, generation: 1, known: 2, withdrawn: false });
  const text = await metrics.render();
  const counts = [...text.matchAll(/^tidemill_schedule_fires_total\{.*outcome="(\w+)".*\} (\d+)$/gm)];
  assert.deepEqual(Object.fromEntries(counts.map(([, outcome, count]) => [outcome, Number(count)])), {
    fired: 1,
    duplicate: 3,
    skipped: 1,
    missed: 4,
    refused: 1,
  });
  assert.equal(counts.length, SLOT_OUTCOMES.length, 'an outcome that never rises is none');
});

test('what Redis refused for want of memory, and what it lost, is counted', async () => {
  const metrics = new Metrics({ clock: systemClock, log: silentLog, build: { version: '0' } });
  const observer = watchEngine(metrics, new ScheduleBoard());
  observer.refusedForMemory?.({ queue: 'default', schedules: 5 });
  observer.regressed?.({ ...ref, what: 'watermark' });
  const text = await metrics.render();
  assert.match(text, /^tidemill_redis_refusals_total\{reason="memory"\} 5$/m);
  assert.match(text, /^tidemill_redis_regressions_total\{what="watermark"\} 1$/m);
  assert.match(text, /^tidemill_redis_regressions_total\{what="generation"\} 0$/m);
  assert.doesNotMatch(text, /tidemill_scheduler_leader/, 'only a scheduler without a cluster has it');
});
