/** `spec` of a `ScheduledTask`: every field, default, rule and description; the CRD is generated from it. */
import { z } from 'zod';
import { CRON_MAX_LENGTH, CRON_SHAPE_PATTERN, CRON_SHAPE_RULE } from '../schedule/cron-fields.ts';
import { LONGEST_INTERVAL_MS, LONGEST_JITTER_MS, SHORTEST_INTERVAL_MS } from '../schedule/every.ts';
import { MISSED_RUN_POLICIES } from '../schedule/plan.ts';
import { TIME_ZONE_MAX_LENGTH, TIME_ZONE_PATTERN, TIME_ZONE_RULE } from '../schedule/time-zone.ts';
import {
  isQueueName,
  QUEUE_NAME_MAX_LENGTH,
  TASK_NAME_MAX_LENGTH,
  TASK_NAME_PATTERN,
} from '../task/names.ts';
import { CONCURRENCY_POLICIES } from '../task/schedule-state.ts';
import { celNoDuration, duration, givenTime, integer, msOf, ruledText } from './field-types.ts';
import { paramsProblem, PARAMS_MAX_KEYS } from './params.ts';
import { celMatches, celRules, type Rule, withFieldRules } from './rules.ts';

export const PRIORITY_NAMES = ['High', 'Medium', 'Low'] as const;

const task = ruledText('Name of the task to run, as the consumers know it.', TASK_NAME_MAX_LENGTH, [
  {
    cel: celMatches('self', TASK_NAME_PATTERN),
    message: "must be lower-case letters, digits, '.', '_' or '-', and begin and end with a letter or digit",
    holds: (name) => TASK_NAME_PATTERN.test(name),
  },
]);

const schedule = ruledText(
  'When to run: five cron fields (minute, hour, day-of-month, month, day-of-week) or a nickname such as @daily. Set this or every. ' +
    'When both day fields are restricted, a day matches when either does.',
  CRON_MAX_LENGTH,
  [
    {
      cel: "!self.contains('TZ=')",
      message: 'must not carry TZ= or CRON_TZ=: set spec.timeZone instead',
      reason: 'FieldValueForbidden',
      holds: (expression) => !expression.includes('TZ='),
    },
    {
      cel: `self.contains('TZ=') || ${celMatches('self', CRON_SHAPE_PATTERN)}`,
      message: CRON_SHAPE_RULE,
      holds: (expression) => expression.includes('TZ=') || CRON_SHAPE_PATTERN.test(expression),
    },
  ],
);

const every = duration(
  'How often to run, by elapsed time: a duration from 100ms to 8760h. Slots are the multiples of it since 1970, plus offset. Set this or schedule.',
  [
    {
      cel: `${celNoDuration('self')} || (duration(self) >= duration('100ms') && duration(self) <= duration('8760h'))`,
      message: 'must be between 100ms and 8760h',
      holds: (text) => {
        const ms = msOf(text);
        return ms === undefined || (ms >= SHORTEST_INTERVAL_MS && ms <= LONGEST_INTERVAL_MS);
      },
    },
  ],
);

const timeZone = ruledText(
  'IANA time zone of schedule, such as Europe/Rome. Unset means Etc/UTC, never the zone of a node.',
  TIME_ZONE_MAX_LENGTH,
  [
    {
      cel: `${celMatches('self', TIME_ZONE_PATTERN)} && self.lowerAscii() != 'local'`,
      message: TIME_ZONE_RULE,
      holds: (name) => TIME_ZONE_PATTERN.test(name) && name.toLowerCase() !== 'local',
    },
  ],
);

const queue = ruledText(
  'Queue that the runs go to. Unset means default. It cannot be changed: delete the object and create it again.',
  QUEUE_NAME_MAX_LENGTH,
  [
    {
      cel: '!format.dns1123Label().validate(self).hasValue()',
      message: 'must be a DNS label: lower-case letters, digits and -',
      holds: (name) => name.length > QUEUE_NAME_MAX_LENGTH || isQueueName(name),
    },
  ],
);

interface RetryFields {
  readonly backoffSeconds?: number | undefined;
  readonly maxBackoffSeconds?: number | undefined;
}

const RETRY_RULES: readonly Rule<RetryFields>[] = [
  {
    cel: '!has(self.maxBackoffSeconds) || !has(self.backoffSeconds) || self.maxBackoffSeconds >= self.backoffSeconds',
    message: 'must be at least backoffSeconds',
    field: 'maxBackoffSeconds',
    holds: ({ backoffSeconds = 0, maxBackoffSeconds = Infinity }) => maxBackoffSeconds >= backoffSeconds,
  },
];

const retry = withFieldRules(
  z.object({
    attempts: integer('int32', 'Tries in all, the first one included.', { min: 1, max: 100 }).optional(),
    backoffSeconds: integer(
      'int32',
      'Longest wait before the second try; it doubles with each further one.',
      { min: 1, max: 86_400 },
    ).optional(),
    maxBackoffSeconds: integer('int32', 'No wait is longer than this.', { min: 1, max: 86_400 }).optional(),
  }),
  RETRY_RULES,
).meta({
  description: "How failed runs are tried again. What is unset follows the task's own policy.",
  ...celRules(RETRY_RULES),
});

const params = z
  .record(z.string(), z.unknown())
  .superRefine((value, context) => {
    const message = paramsProblem(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  })
  .meta({
    description:
      'Params of every run, checked against the schema that the task publishes. Never put a secret here: name it instead.',
    maxProperties: PARAMS_MAX_KEYS,
  });

/** The fields that rules across fields look at. */
interface SpecFields {
  readonly schedule?: string | undefined;
  readonly every?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly offset?: string | undefined;
  readonly jitter?: string | undefined;
  readonly startTime?: string | undefined;
  readonly endTime?: string | undefined;
  readonly concurrencyPolicy: string;
  readonly missedRunPolicy: string;
  readonly maxCatchUp?: number | undefined;
}

const shorterThanEvery = (field: 'offset' | 'jitter'): Rule<SpecFields> => ({
  cel:
    `!has(self.${field}) || !has(self.every) || ${celNoDuration(`self.${field}`)} || ${celNoDuration('self.every')} || ` +
    `duration(self.${field}) < duration(self.every)`,
  message: 'must be shorter than every',
  field,
  holds: (spec) => (msOf(spec[field]) ?? -1) < (msOf(spec.every) ?? Infinity),
});

const SPEC_RULES: readonly Rule<SpecFields>[] = [
  {
    cel: 'has(self.schedule) != has(self.every)',
    message: (spec) =>
      spec.schedule === undefined
        ? 'one of schedule or every is required'
        : 'set schedule or every, not both',
    messageExpression:
      "has(self.schedule) ? 'set schedule or every, not both' : 'one of schedule or every is required'",
    holds: (spec) => (spec.schedule === undefined) !== (spec.every === undefined),
  },
  {
    cel: '!has(self.timeZone) || has(self.schedule)',
    message: 'only with schedule: every counts elapsed time and has no zone',
    field: 'timeZone',
    reason: 'FieldValueForbidden',
    holds: (spec) => spec.timeZone === undefined || spec.schedule !== undefined,
  },
  {
    cel: '!has(self.offset) || has(self.every)',
    message: 'only with every',
    field: 'offset',
    reason: 'FieldValueForbidden',
    holds: (spec) => spec.offset === undefined || spec.every !== undefined,
  },
  shorterThanEvery('offset'),
  shorterThanEvery('jitter'),
  {
    cel: `!has(self.jitter) || ${celNoDuration('self.jitter')} || duration(self.jitter) <= duration('1h')`,
    message: 'must be at most 1h',
    field: 'jitter',
    holds: (spec) => (msOf(spec.jitter) ?? 0) <= LONGEST_JITTER_MS,
  },
  {
    cel: '!has(self.startTime) || !has(self.endTime) || self.endTime > self.startTime',
    message: 'must be after startTime',
    field: 'endTime',
    // A date that cannot be read compares as false, and its own rule reports it.
    holds: ({ startTime, endTime }) =>
      startTime === undefined || endTime === undefined || !(Date.parse(endTime) <= Date.parse(startTime)),
  },
  {
    cel: "!has(self.maxCatchUp) || self.missedRunPolicy == 'All'",
    message: 'only with missedRunPolicy: All',
    field: 'maxCatchUp',
    reason: 'FieldValueForbidden',
    holds: (spec) => spec.maxCatchUp === undefined || spec.missedRunPolicy === 'All',
  },
  {
    cel: "self.missedRunPolicy != 'All' || self.concurrencyPolicy == 'Allow'",
    message:
      'All needs concurrencyPolicy: Allow (Forbid and Replace would drop all but one of the catch-up runs)',
    field: 'missedRunPolicy',
    holds: (spec) => spec.missedRunPolicy !== 'All' || spec.concurrencyPolicy === 'Allow',
  },
  {
    cel: "(has(self.queue) ? self.queue : 'default') == (has(oldSelf.queue) ? oldSelf.queue : 'default')",
    message: 'cannot change: delete the object and create it again to move it to another queue',
    field: 'queue',
    reason: 'FieldValueForbidden',
  },
];

/** The fields alone, without the rules across them. */
export const SpecFieldsSchema = z.object({
  task,
  schedule: schedule.optional(),
  every: every.optional(),
  timeZone: timeZone.optional(),
  offset: duration(
    'Moves every slot of every by this much: every 1h with offset 5m runs at five past. Shorter than every.',
  ).optional(),
  jitter: duration(
    'Starts each run up to this much after its slot, by the same amount every time. Shorter than every, at most 1h.',
  ).optional(),
  startTime: givenTime('Slots before this time never run.').optional(),
  endTime: givenTime('Slots after this time never run. Must be after startTime.').optional(),
  suspend: z
    .boolean()
    .default(false)
    .meta({ description: 'True stops new runs. What came due meanwhile never runs later.' }),
  concurrencyPolicy: z.enum(CONCURRENCY_POLICIES).default('Forbid').meta({
    description:
      'What happens when a slot comes while a run is in flight: Forbid skips the slot, Allow runs both, Replace cancels the earlier run. Unset means Forbid (in a CronJob it means Allow).',
  }),
  startingDeadlineSeconds: integer(
    'int64',
    'A slot later than this is missed under every policy. Unset means no limit.',
    { min: 1 },
  ).optional(),
  missedRunPolicy: z.enum(MISSED_RUN_POLICIES).default('Latest').meta({
    description:
      'What happens with slots that were noticed more than 30 s late: Latest runs the newest, Skip none, All each of them up to maxCatchUp. Unset means Latest.',
  }),
  maxCatchUp: integer(
    'int32',
    'With missedRunPolicy All: how many late slots run at most, the newest ones. Unset means 100.',
    { min: 1, max: 1_000 },
  ).optional(),
  timeoutSeconds: integer('int32', "Ends an attempt that takes longer. Unset means the task's own timeout.", {
    min: 1,
    max: 604_800,
  }).optional(),
  queue: queue.optional(),
  priority: z
    .enum(PRIORITY_NAMES)
    .meta({
      description:
        "Share of the queue while work of other priorities waits. Unset means the task's own priority.",
    })
    .optional(),
  retry: retry.optional(),
  params: params.optional(),
});

export const ScheduledTaskSpecSchema = withFieldRules(SpecFieldsSchema, SPEC_RULES).meta({
  description: 'What to run, when, and how.',
  ...celRules(SPEC_RULES),
});

/** Defaults applied. */
export type ScheduledTaskSpec = z.output<typeof ScheduledTaskSpecSchema>;
/** As a user writes it. */
export type ScheduledTaskSpecInput = z.input<typeof ScheduledTaskSpecSchema>;
