import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScheduledTaskSpecSchema, type ScheduledTaskSpecInput } from '../../../src/resource/spec-schema.ts';
import {
  eraSpecOf,
  queueOf,
  runOverridesOf,
  timingOf,
  timingOfEra,
  unreadableEraSpec,
} from '../../../src/resource/to-schedule.ts';

const spec = (fields: Omit<ScheduledTaskSpecInput, 'task'>) =>
  ScheduledTaskSpecSchema.parse({ task: 'a', ...fields });

test('timing fields become a schedule and a policy in milliseconds', () => {
  const timing = timingOf(
    spec({
      schedule: '0 6 * * *',
      timeZone: 'Europe/berlin',
      jitter: '30s',
      startingDeadlineSeconds: 90,
      missedRunPolicy: 'All',
      concurrencyPolicy: 'Allow',
      maxCatchUp: 5,
      startTime: '2026-01-01T00:00:00Z',
      endTime: '2027-01-01T00:00:00+01:00',
    }),
  );
  assert.ok(timing.kind === 'timing');
  assert.deepEqual(timing.schedule.spec, {
    kind: 'cron',
    expression: '0 6 * * *',
    timeZone: 'Europe/Berlin',
    jitterMs: 30_000,
  });
  assert.deepEqual(timing.policy, {
    missedRunPolicy: 'All',
    maxCatchUp: 5,
    startingDeadlineMs: 90_000,
    startMs: Date.UTC(2026, 0, 1),
    endMs: Date.UTC(2026, 11, 31, 23),
  });
});

test('what is unset has its default or is absent', () => {
  const timing = timingOf(spec({ every: '1m', offset: '5s' }));
  assert.ok(timing.kind === 'timing');
  assert.deepEqual(timing.schedule.spec, { kind: 'every', intervalMs: 60_000, offsetMs: 5_000, jitterMs: 0 });
  assert.deepEqual(timing.policy, { missedRunPolicy: 'Latest', maxCatchUp: 100 });
  assert.equal(queueOf(spec({ every: '1m' })), 'default');
  assert.deepEqual(runOverridesOf(spec({ every: '1m' })), {});
});

test('what the API server cannot check comes back as a value with reason and field', () => {
  const invalid = (fields: Omit<ScheduledTaskSpecInput, 'task'>): readonly string[] => {
    const timing = timingOf(spec(fields));
    return timing.kind === 'invalid' ? [timing.reason, timing.field, timing.message] : [];
  };
  assert.deepEqual(invalid({ schedule: '60 * * * *' }).slice(0, 2), ['InvalidSchedule', 'schedule']);
  assert.deepEqual(invalid({ schedule: '0 0 30 2 *' }).slice(0, 2), ['NeverFires', 'schedule']);
  const [reason, field, message] = invalid({ schedule: '@daily', timeZone: 'Foo/Bar' });
  assert.deepEqual([reason, field], ['UnknownTimeZone', 'timeZone']);
  assert.match(message!, /"Foo\/Bar"/);
});

test('overrides of the runs are in the words of the queue', () => {
  assert.deepEqual(
    runOverridesOf(
      spec({
        every: '1m',
        timeoutSeconds: 5,
        priority: 'High',
        retry: { attempts: 3, backoffSeconds: 1, maxBackoffSeconds: 60 },
      }),
    ),
    { timeoutMs: 5_000, priority: 'high', retry: { attempts: 3, backoffMs: 1_000, maxBackoffMs: 60_000 } },
  );
});

test('an era holds what decides about time, reads back as the same timing, and fits in 1 KiB', () => {
  const largest = spec({
    schedule: `${'0,'.repeat(59)}0 0 1 1 *`.slice(-128),
    timeZone: 'America/Argentina/ComodRivadavia',
    jitter: '3599999ms'.slice(-7),
    startTime: '2026-01-01T00:00:00.123456789+01:00',
    endTime: '2027-01-01T00:00:00.123456789+01:00',
    startingDeadlineSeconds: Number.MAX_SAFE_INTEGER,
    missedRunPolicy: 'All',
    concurrencyPolicy: 'Allow',
    maxCatchUp: 1_000,
    params: { secret: 'not in the era' },
  });
  const era = eraSpecOf(largest);
  assert.ok(Buffer.byteLength(era) <= 1_024, `${Buffer.byteLength(era)} bytes`);
  assert.doesNotMatch(era, /secret|task/);
  const [before, after] = [timingOf(largest), timingOfEra(era)];
  assert.ok(before.kind === 'timing' && after?.kind === 'timing');
  assert.deepEqual(after.schedule.spec, before.schedule.spec);
  assert.deepEqual(after.policy, before.policy);
});

test('the era of a spec that cannot be read says why, in 1 KiB', () => {
  const era = unreadableEraSpec(`spec.every: "${'\u0001é'.repeat(300)}"`);
  assert.ok(Buffer.byteLength(era) <= 1_024, `${Buffer.byteLength(era)} bytes`);
  const timing = timingOfEra(era);
  assert.ok(timing?.kind === 'invalid');
  assert.match(timing.message, /^spec\.every: "/);
});

test('a text that is no era is no timing', () => {
  for (const text of ['', '{', '[]', 'null', '{"every":5}']) assert.equal(timingOfEra(text), undefined, text);
});
