/** Specs at both sides of every rule of the object, with the sentence that a user of kubectl reads. */

export type Spec = Readonly<Record<string, unknown>>;

export interface RuleCase {
  /** As in the CRD. */
  readonly message: string;
  readonly taken: readonly Spec[];
  /** With all that the API server says about the spec. */
  readonly refused: readonly (readonly [spec: Spec, ...problems: readonly string[]])[];
}

export const CRON = { task: 'a', schedule: '0 6 * * *' };
export const EVERY = { task: 'a', every: '30s' };
const ALL = { ...EVERY, missedRunPolicy: 'All', concurrencyPolicy: 'Allow' };

const DURATION = 'must be a duration such as 500ms, 30s or 1h30m (units h, m, s, ms; no days, no fractions)';
const RANGE = 'must be between 100ms and 8760h';
const SHAPE =
  'must be five cron fields (minute hour day-of-month month day-of-week) or one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; seconds, ?, L, W and # are not supported';
const NO_ZONE_INSIDE = 'must not carry TZ= or CRON_TZ=: set spec.timeZone instead';
const ZONE = 'must be an IANA time zone name such as Europe/Rome or Etc/UTC (no offsets, not Local)';
const TASK = "must be lower-case letters, digits, '.', '_' or '-', and begin and end with a letter or digit";
const LABEL = 'must be a DNS label: lower-case letters, digits and -';
const ALL_NEEDS =
  'All needs concurrencyPolicy: Allow (Forbid and Replace would drop all but one of the catch-up runs)';
const TIME = 'must be a time such as 2026-03-01T08:00:00Z';

const wrong = (field: string, value: string, rule: string): string =>
  `spec.${field}: Invalid value: ${JSON.stringify(value)}: ${rule}`;
const noText = (field: string, value: string): string =>
  wrong(field, value, `spec.${field} in body should be at least 1 chars long`);
/** The API server's own words for a time that its format takes and its rules cannot read; ours are at the end. */
const unreadableTime = (value: string, what: string): string =>
  `spec.startTime: Invalid value: "string": Invalid date-time formatted string ${value}: ${what} evaluating rule: ${TIME}`;

export const RULE_CASES: readonly RuleCase[] = [
  {
    message: 'set schedule or every',
    taken: [CRON, EVERY],
    refused: [
      [{ ...CRON, every: '1s' }, 'spec: Invalid value: set schedule or every, not both'],
      [{ task: 'a' }, 'spec: Invalid value: one of schedule or every is required'],
    ],
  },
  {
    message: 'only with schedule: every counts elapsed time and has no zone',
    taken: [{ ...CRON, timeZone: 'Etc/UTC' }],
    refused: [
      [
        { ...EVERY, timeZone: 'Etc/UTC' },
        'spec.timeZone: Forbidden: only with schedule: every counts elapsed time and has no zone',
      ],
    ],
  },
  {
    message: 'only with every',
    taken: [{ ...EVERY, offset: '5s' }],
    refused: [[{ ...CRON, offset: '5s' }, 'spec.offset: Forbidden: only with every']],
  },
  {
    message: 'must be shorter than every',
    taken: [
      { ...EVERY, offset: '29999ms', jitter: '29999ms' },
      { ...EVERY, every: '1h', jitter: '59m' },
    ],
    refused: [
      [{ ...EVERY, offset: '30s' }, 'spec.offset: Invalid value: must be shorter than every'],
      [{ ...EVERY, jitter: '30s' }, 'spec.jitter: Invalid value: must be shorter than every'],
    ],
  },
  {
    message: 'must be at most 1h',
    taken: [
      { ...CRON, jitter: '1h' },
      { ...EVERY, every: '24h', jitter: '60m' },
    ],
    refused: [
      [{ ...CRON, jitter: '3601s' }, 'spec.jitter: Invalid value: must be at most 1h'],
      [{ ...EVERY, every: '24h', jitter: '2h' }, 'spec.jitter: Invalid value: must be at most 1h'],
    ],
  },
  {
    message: 'must be after startTime',
    taken: [
      { ...EVERY, startTime: '2026-01-01T00:00:00Z', endTime: '2026-01-01T00:00:01Z' },
      { ...EVERY, startTime: '2026-01-01T00:00:00Z' },
      { ...EVERY, endTime: '2026-01-01T00:00:00+02:00' },
    ],
    refused: [
      [
        { ...EVERY, startTime: '2026-02-01T00:00:00Z', endTime: '2026-01-01T00:00:00Z' },
        'spec.endTime: Invalid value: must be after startTime',
      ],
      [
        { ...EVERY, startTime: '2026-01-01T00:00:00Z', endTime: '2026-01-01T01:00:00+01:00' },
        'spec.endTime: Invalid value: must be after startTime',
      ],
    ],
  },
  {
    message: TIME,
    taken: [
      { ...EVERY, startTime: '2026-01-01T00:00:00.5+05:30' },
      { ...EVERY, startTime: '0001-01-01T00:00:00Z' },
    ],
    refused: [
      [{ ...EVERY, startTime: '0000-12-31T00:00:00Z' }, wrong('startTime', '0000-12-31T00:00:00Z', TIME)],
      [
        { ...EVERY, startTime: '2026-01-01t00:00:00z' },
        unreadableTime(
          '2026-01-01t00:00:00z',
          'parsing time "2026-01-01t00:00:00z" as "2006-01-02T15:04:05": cannot parse "t00:00:00z" as "T"',
        ),
      ],
      [
        { ...EVERY, startTime: '2026-01-01T00:00:00+25:00' },
        unreadableTime(
          '2026-01-01T00:00:00+25:00',
          'parsing time "2026-01-01T00:00:00+25:00": extra text: "+25:00"',
        ),
      ],
    ],
  },
  {
    message: 'only with missedRunPolicy: All',
    taken: [{ ...ALL, maxCatchUp: 1_000 }],
    refused: [
      [{ ...EVERY, maxCatchUp: 5 }, 'spec.maxCatchUp: Forbidden: only with missedRunPolicy: All'],
      [
        { ...EVERY, missedRunPolicy: 'Skip', maxCatchUp: 5 },
        'spec.maxCatchUp: Forbidden: only with missedRunPolicy: All',
      ],
    ],
  },
  {
    message: ALL_NEEDS,
    taken: [ALL, { ...EVERY, missedRunPolicy: 'Skip', concurrencyPolicy: 'Replace' }],
    refused: [
      [{ ...EVERY, missedRunPolicy: 'All' }, `spec.missedRunPolicy: Invalid value: ${ALL_NEEDS}`],
      [{ ...ALL, concurrencyPolicy: 'Replace' }, `spec.missedRunPolicy: Invalid value: ${ALL_NEEDS}`],
    ],
  },
  {
    message: 'must be at least backoffSeconds',
    taken: [
      { ...EVERY, retry: { attempts: 3, backoffSeconds: 10, maxBackoffSeconds: 10 } },
      { ...EVERY, retry: { maxBackoffSeconds: 1 } },
    ],
    refused: [
      [
        { ...EVERY, retry: { backoffSeconds: 10, maxBackoffSeconds: 9 } },
        'spec.retry.maxBackoffSeconds: Invalid value: must be at least backoffSeconds',
      ],
    ],
  },
  {
    message: TASK,
    taken: ['a', '0', 'fetch-data', 'reports.daily', 'a_b', 'a'.repeat(128)].map((task) => ({
      ...EVERY,
      task,
    })),
    refused: [
      ...['Fetch Data', '-a', 'a.', '../x', '__proto__', 'é', 'a\n'].map(
        (task) => [{ ...EVERY, task }, wrong('task', task, TASK)] as const,
      ),
      [{ ...EVERY, task: '' }, noText('task', ''), wrong('task', '', TASK)],
    ],
  },
  {
    message: NO_ZONE_INSIDE,
    taken: [{ ...CRON, timeZone: 'Europe/Rome' }],
    refused: ['CRON_TZ=Europe/Rome 0 6 * * *', 'TZ=UTC 0 6 * * *', 'TZ=UTC 0 0 6 * * *'].map(
      (schedule) => [{ ...CRON, schedule }, `spec.schedule: Forbidden: ${NO_ZONE_INSIDE}`] as const,
    ),
  },
  {
    message: SHAPE,
    taken: ['* * * * *', '*/5 0-6,20 1,15 JAN-mar MON', '0  6  *  *  *', '@daily', '@annually'].map(
      (schedule) => ({ ...CRON, schedule }),
    ),
    refused: [
      ...['* * * *', '* * * * * *', '@reboot', '@every 1h', '@Daily', '<a> b c d e', '* * * *\n*'].map(
        (schedule) => [{ ...CRON, schedule }, wrong('schedule', schedule, SHAPE)] as const,
      ),
      ...[' * * * * *', '0 6 ? * *', '0 6 * * 1#2', '\t* * * * *'].map(
        (schedule) => [{ ...CRON, schedule }, wrong('schedule', schedule, SHAPE)] as const,
      ),
    ],
  },
  {
    message: DURATION,
    taken: ['500ms', '1h30m', '90m', '0h1m', '1s500ms'].map((every) => ({ ...EVERY, every })),
    refused: [
      ...['1d', '30', '1h30', '30.5s', '-1s', '+1s', '1us', '1H', ' 1s', '1s\n', '1h1h1h1h1h'].map(
        (every) => [{ ...EVERY, every }, wrong('every', every, DURATION)] as const,
      ),
      [{ ...EVERY, every: '' }, noText('every', ''), wrong('every', '', DURATION)],
      [{ ...EVERY, offset: '1d' }, wrong('offset', '1d', DURATION)],
      [{ ...CRON, jitter: '2d' }, wrong('jitter', '2d', DURATION)],
    ],
  },
  {
    message: RANGE,
    taken: ['100ms', '8760h'].map((every) => ({ ...EVERY, every })),
    refused: ['50ms', '99ms', '0s', '8761h', '99999h99999h99999h99999h'].map(
      (every) => [{ ...EVERY, every }, wrong('every', every, RANGE)] as const,
    ),
  },
  {
    message: ZONE,
    taken: ['UTC', 'Etc/GMT-14', 'America/Argentina/Buenos_Aires', 'Europe/Nowhere'].map((timeZone) => ({
      ...CRON,
      timeZone,
    })),
    refused: ['local', 'LOCAL', '+02:00', 'Europe//Rome', '/Rome', 'Europe/Rome ', '../etc/passwd'].map(
      (timeZone) => [{ ...CRON, timeZone }, wrong('timeZone', timeZone, ZONE)] as const,
    ),
  },
  {
    message: LABEL,
    taken: ['default', '0', 'high-priority', 'a'.repeat(63)].map((queue) => ({ ...EVERY, queue })),
    refused: ['High', 'a b', '-a', 'a-', 'a.b', 'a_b', '{a}'].map(
      (queue) => [{ ...EVERY, queue }, wrong('queue', queue, LABEL)] as const,
    ),
  },
];
