import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportSchedules, renderSchedules } from '../../../src/resource/export.ts';
import { parseManifests } from '../../../src/resource/manifest.ts';
import { timingOf } from '../../../src/resource/to-schedule.ts';
import { cron } from '../../../src/schedule/cron.ts';
import { every } from '../../../src/schedule/every.ts';

const TASKS = [
  {
    name: 'report',
    schedules: [
      every('90s', { offset: '5s', jitter: '1s' }).spec,
      cron('0 6 * * MON-FRI', { timeZone: 'Europe/Rome' }).spec,
    ],
  },
  { name: 'a.b_c', schedules: [cron('@daily').spec] },
  { name: 'a-b-c', schedules: [every('1h').spec] },
  { name: 'quiet', schedules: [] },
];

test('exported schedules are valid manifests that fire at the same times', () => {
  const { objects, problems, warnings } = parseManifests(
    renderSchedules(exportSchedules(TASKS, 'team')),
    'out.yaml',
  );
  assert.deepEqual([problems, warnings], [[], []]);
  assert.deepEqual(
    objects.map(({ namespace, name, spec }) => [namespace, name, spec.task]),
    [
      ['team', 'report', 'report'],
      ['team', 'report-2', 'report'],
      ['team', 'a-b-c', 'a.b_c'],
      ['team', 'a-b-c-2', 'a-b-c'],
    ],
  );
  const specs = objects.map(({ spec }) => {
    const timing = timingOf(spec);
    return timing.kind === 'timing' ? timing.schedule.spec : undefined;
  });
  assert.deepEqual(
    specs,
    TASKS.flatMap(({ schedules }) => schedules),
  );
});

test('only what differs from the defaults is written', () => {
  assert.equal(
    renderSchedules(exportSchedules([{ name: 'tick', schedules: [every('1s').spec] }])),
    'apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata:\n  name: tick\nspec:\n  task: tick\n  every: 1s\n',
  );
});

test('names that are too long are cut and stay different', () => {
  const name = `${'a'.repeat(51)}.${'b'.repeat(60)}`;
  const names = exportSchedules([
    { name, schedules: [every('1s').spec, every('2s').spec] },
    { name: `${name}c`, schedules: [every('1s').spec] },
  ]).map(({ metadata }) => metadata.name);
  assert.deepEqual(names, ['a'.repeat(51), `${'a'.repeat(50)}-2`, `${'a'.repeat(50)}-3`]);
});
