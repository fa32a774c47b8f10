/** The verdict of a soak can be bad: each thing that it counts is found when it is there. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { environmentIn, IMAGE_ENVIRONMENT } from '../soak/image-environment.ts';
import { slopePerHour, trendOf, type Sample } from '../soak/trend.ts';
import { type Findings, type ProcessTrend, violations } from '../soak/verdict.ts';

const FINE: Findings = {
  runs: { runs: 10, succeeded: 8, failed: 1, cancelled: 1, lost: 0, settledTwice: 0, executions: 12 },
  slots: { slots: 5, fired: 3, skipped: 1, missed: 1, undecided: 0, doubled: 0 },
  triggers: { requested: 2, undecided: 0, doubled: 0 },
  trends: [],
  surprises: [],
  leakedProcesses: 0,
  startsGivenUp: 2,
};
const trend = (changes: Partial<ProcessTrend>): ProcessTrend => ({
  ...{ name: 'consumer-1', hours: 0.5, samples: 300, rssMiB: 100, rssMiBPerHour: 0 },
  ...{ descriptors: 40, descriptorsPerHour: 0 },
  ...changes,
});

test('a soak runs in the environment of the image', () => {
  assert.deepEqual(environmentIn('FROM a\nENV A=1 B_=2\nRUN b\nENV C=x\n'), { A: '1', B_: '2', C: 'x' });
  assert.equal(IMAGE_ENVIRONMENT['MALLOC_TRIM_THRESHOLD_'], '131072');
});

describe('the verdict of a soak', () => {
  test('is empty when everything is accounted for', () => {
    assert.deepEqual(violations(FINE), []);
  });

  const broken: readonly (readonly [string, Partial<Findings>])[] = [
    ['1 runs were lost', { runs: { ...FINE.runs, lost: 1 } }],
    ['2 runs were settled twice', { runs: { ...FINE.runs, settledTwice: 2 } }],
    // A run that ended without being known is one end too few for those that are: neither may hide the other.
    ['-1 runs were settled twice', { runs: { ...FINE.runs, settledTwice: -1 } }],
    ['1 slots have no decision', { slots: { ...FINE.slots, undecided: 1 } }],
    ['1 slots were decided twice', { slots: { ...FINE.slots, doubled: 1 } }],
    ['1 requests by hand have no decision', { triggers: { ...FINE.triggers, undecided: 1 } }],
    ['1 requests by hand were decided twice', { triggers: { ...FINE.triggers, doubled: 1 } }],
    ['3 processes outlived the soak', { leakedProcesses: 3 }],
    ['no run was enqueued: the soak proves nothing', { runs: { ...FINE.runs, runs: 0 } }],
    ['no slot was due: the soak proves nothing', { slots: { ...FINE.slots, slots: 0 } }],
    ['consumer-1 ended by itself (1)', { surprises: ['consumer-1 ended by itself (1)'] }],
    ['consumer-1 grew by 50 MiB over 30 minutes', { trends: [trend({ rssMiBPerHour: 100 })] }],
    [
      'consumer-1 opened 30 descriptors more than it closed over 30 minutes',
      { trends: [trend({ descriptorsPerHour: 60 })] },
    ],
  ];
  for (const [sentence, changes] of broken) {
    test(`says "${sentence}"`, () => {
      assert.deepEqual(violations({ ...FINE, ...changes }), [sentence]);
    });
  }

  test('takes no slope for a leak that was seen for a few minutes only, or that is the noise of a heap', () => {
    const short = trend({ hours: 0.05, rssMiBPerHour: 800 });
    const noise = trend({ rssMiBPerHour: 20 });
    assert.deepEqual(violations({ ...FINE, trends: [short, noise] }), []);
  });
});

describe('the trend of a process', () => {
  const samples = (count: number, rssMiB: (minute: number) => number): readonly Sample[] =>
    Array.from({ length: count }, (_, minute) => ({
      ...{ atMs: minute * 60_000, rssMiB: rssMiB(minute), descriptors: 20 },
    }));

  test('is the slope of a line, in its unit for an hour', () => {
    assert.equal(Math.round(slopePerHour([0, 1, 2, 3].map((minute) => [minute * 60_000, 2 * minute]))), 120);
  });

  test('is not tilted by a spike, and leaves out the warm-up', () => {
    const trend = trendOf(
      'x',
      samples(60, (minute) => (minute < 3 ? minute * 50 : minute === 30 ? 900 : 150)),
    );
    assert.equal(trend?.rssMiBPerHour, 0);
    assert.equal(trend.samples, 57);
  });

  test('of a steady leak is found', () => {
    assert.equal(
      Math.round(
        trendOf(
          'x',
          samples(60, (minute) => 100 + minute),
        )?.rssMiBPerHour ?? 0,
      ),
      60,
    );
  });

  test('needs three samples', () => {
    assert.equal(
      trendOf(
        'x',
        samples(2, () => 100),
      ),
      undefined,
    );
  });
});
