/** `status` of a `ScheduledTask`: written by the controller only, and read back by it after a restart. */
import { z } from 'zod';
import { dateTime, integer, text } from './field-types.ts';

const condition = z.object({
  type: text('Ready, Stalled or Reconciling.', 316),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether the condition holds.' }),
  reason: z.string().min(1).max(1_024).meta({ description: 'Why, as one word for programs.' }),
  message: text('Why, as a sentence for people.', 32_768),
  observedGeneration: integer(
    'int64',
    'Generation of the spec that the condition was derived from.',
  ).optional(),
  lastTransitionTime: dateTime('When status last changed.'),
});

const lastRun = z.object({
  id: text('Id of the run.', 256).optional(),
  state: text('How it ended: succeeded, failed, cancelled or expired.', 32).optional(),
  scheduledTime: dateTime('Nominal time of its slot.').optional(),
  startTime: dateTime('When its last attempt began.').optional(),
  completionTime: dateTime('When it ended.').optional(),
  attempt: integer('int32', 'Number of its last attempt; 1 is the first.').optional(),
  reason: text('Why it failed, as one word.', 128).optional(),
  message: text('Why it failed, as the task told it.', 1_024).optional(),
});

const lastTrigger = z.object({
  request: text('Value of the annotation tidemill.dev/run-now that was acted on or recorded.', 63).optional(),
  runId: text('Id of the run that it made.', 256).optional(),
  state: text(
    'What became of the request: Recorded, Refused, Skipped, Enqueued, Running, Succeeded, Failed, Cancelled or Expired.',
    32,
  ).optional(),
  message: text('Why, for a request that was refused or whose run failed.', 1_024).optional(),
  time: dateTime('When it was acted on or recorded.').optional(),
});

const recent = z.object({
  slot: dateTime('Nominal time of the slot, or of the first slot of a row.'),
  count: integer('int64', 'How many slots in a row were decided alike.', { min: 1 }).optional(),
  decision: z.enum(['Fired', 'Skipped', 'Missed']).meta({ description: 'What became of the slot.' }),
  reason: text('Why the slot was decided so, as one word; absent for one that fired on time.', 64).optional(),
  runId: text('Id of the run that it made.', 256).optional(),
});

/** Without it an object that no controller sees has no conditions, which tools take for healthy. */
export const NOT_SEEN_YET = {
  observedGeneration: -1,
  conditions: [
    {
      type: 'Ready',
      status: 'Unknown' as const,
      reason: 'Pending',
      message: 'no controller has seen this object yet',
      lastTransitionTime: '1970-01-01T00:00:00Z',
    },
  ],
};

export const ScheduledTaskStatusSchema = z
  .object({
    observedGeneration: integer(
      'int64',
      'Generation of the spec that the controller last acted on.',
    ).optional(),
    conditions: z
      .array(condition.meta({ description: 'One aspect of the state of the schedule.' }))
      .max(8)
      .meta({
        description:
          'State of the schedule: Ready, Stalled and Reconciling. How runs ended is told in lastRun and recent.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
      })
      .optional(),
    nextScheduleTime: dateTime(
      'Next slot. Absent for schedules of less than a minute, where it would always be out of date.',
    ).optional(),
    lastScheduleTime: dateTime('Newest slot that fired.').optional(),
    lastMissedTime: dateTime('Newest slot that was missed.').optional(),
    lastSuccessfulTime: dateTime('When a run last succeeded.').optional(),
    lastFailureTime: dateTime('When a run last failed for good.').optional(),
    active: integer('int32', 'Runs in flight: waiting, delayed, to be retried, or running.').optional(),
    missedRuns: integer('int64', 'Slots missed since the object was created.').optional(),
    lastRun: lastRun.meta({ description: 'The newest run that ended.' }).optional(),
    settledThroughTime: dateTime('Every slot up to this has its decision.').optional(),
    lastTrigger: lastTrigger.meta({ description: 'The newest run asked for by annotation.' }).optional(),
    recent: z
      .array(recent.meta({ description: 'One decision, or a row of like ones.' }))
      .max(5)
      .meta({ description: 'The newest decisions.', 'x-kubernetes-list-type': 'atomic' })
      .optional(),
  })
  .meta({
    description: 'What the controller last saw and did. It may lag; the queue holds the truth.',
    default: NOT_SEEN_YET,
  });

export type ScheduledTaskStatus = z.output<typeof ScheduledTaskStatusSchema>;
