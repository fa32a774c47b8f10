/** What a child and its parent say to each other, parsed on both sides: a message that does not parse ends the child. */
import { z } from 'zod';
import { cut } from '../../runtime/printable.ts';
import { isGeneratedRunId } from '../../task/ids.ts';
import type { AttemptResult } from '../../task/invoke.ts';
import { isGivenRunId, isQueueName, isTaskName } from '../../task/names.ts';
import { isParamsText } from '../../task/params.ts';
import type { RunRequest } from '../../task/request.ts';
import { isResultText } from '../../task/result.ts';
import { LONGEST_ADVISED_MS } from '../../task/retry.ts';
import { type FailureReason, PRIORITIES, RUN_STATES, type RunError, type RunRecord } from '../../task/run.ts';
import { RunErrorSchema, RunOptionsSchema } from '../../task/run-schema.ts';
import { MESSAGE_MAX_LENGTH, NAME_MAX_LENGTH, STACK_MAX_LENGTH } from '../../task/thrown.ts';

/** The last instant that a Date can hold. */
const LAST_INSTANT_MS = 8.64e15;
/** What a duration can say at most. */
const LONGEST_WAIT_MS = 99_999 * 3_600_000;

const RunRecordSchema = z.object({
  id: z.string(),
  queue: z.string(),
  task: z.string(),
  priority: z.enum(PRIORITIES),
  state: z.enum(RUN_STATES),
  params: z.string(),
  options: RunOptionsSchema,
  attempt: z.number(),
  deaths: z.number(),
  enqueuedAtMs: z.number(),
  dueAtMs: z.number().exactOptional(),
  expiresAtMs: z.number().exactOptional(),
  startedAtMs: z.number().exactOptional(),
  endedAtMs: z.number().exactOptional(),
  incarnation: z.string().exactOptional(),
  result: z.string().exactOptional(),
  error: RunErrorSchema.exactOptional(),
  cancelReason: z.string().exactOptional(),
}) satisfies z.ZodType<RunRecord>;

/**
 * What a child may ask for. Task code shares the process with the code that makes these messages and can send its own, so
 * everything is checked again here: an id that begins with the uid of a schedule would take the place of one of its slots.
 */
const RunRequestSchema = z.object({
  id: z.string(),
  task: z.string().refine(isTaskName, 'must be the name of a task'),
  priority: z.enum(PRIORITIES),
  params: z.string().refine(isParamsText, 'must be params as JSON'),
  /** Read for its shape only: the parent writes its own. */
  options: RunOptionsSchema,
  runAtMs: z.number().min(0).max(LAST_INSTANT_MS).exactOptional(),
  delayMs: z.number().min(0).max(LONGEST_WAIT_MS).exactOptional(),
  expiresInMs: z.number().min(1).max(LONGEST_WAIT_MS).exactOptional(),
}) satisfies z.ZodType<RunRequest>;

const ReportedErrorSchema = (reasons: readonly FailureReason[]) =>
  z.object({
    reason: z.enum(reasons),
    name: z.string().max(NAME_MAX_LENGTH),
    message: z.string().max(MESSAGE_MAX_LENGTH),
    stack: z.string().max(STACK_MAX_LENGTH).exactOptional(),
  }) satisfies z.ZodType<RunError>;

const AttemptResultSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('succeeded'),
    result: z.string().refine(isResultText, 'must be a result as JSON').exactOptional(),
  }),
  z.object({
    kind: z.literal('failed'),
    error: ReportedErrorSchema(['Error', 'NonRetryable', 'InvalidResult', 'ResultTooLarge', 'Timeout']),
    retry: z.union([
      z.literal(['policy', 'never']),
      z.object({ delayMs: z.number().min(0).max(LONGEST_ADVISED_MS) }),
    ]),
  }),
  z.object({ kind: z.literal('cancelled'), reason: z.string().max(MESSAGE_MAX_LENGTH) }),
  z.object({ kind: z.literal('rejected'), error: ReportedErrorSchema(['InvalidParams']) }),
]) satisfies z.ZodType<AttemptResult>;

/** Numbers the runs of one child, from 1; 0 means outside any run. What comes late for an ended run can so be told apart. */
const RunNumberSchema = z.int().nonnegative();

const ParentMessageSchema = z.discriminatedUnion('type', [
  /** First message, once: what to load. */
  z.object({ type: z.literal('load'), tasks: z.array(z.string()), cwd: z.string() }),
  z.object({ type: z.literal('run'), run: RunNumberSchema, record: RunRecordSchema }),
  z.object({
    type: z.literal('abort'),
    run: RunNumberSchema,
    kind: z.enum(['timeout', 'cancelled', 'shutdown', 'lease-lost']),
    message: z.string(),
  }),
  /** Answers the `enqueue` of that number. */
  z.object({
    type: z.literal('enqueued'),
    call: z.int(),
    id: z.string(),
    outcome: z.enum(['enqueued', 'duplicate']),
  }),
  z.object({ type: z.literal('enqueue-failed'), call: z.int(), code: z.string(), message: z.string() }),
  /** Dispose of the dependencies and end. Only sent while no run is there. */
  z.object({ type: z.literal('stop') }),
]);
export type ParentMessage = z.output<typeof ParentMessageSchema>;

const ChildMessageSchema = z.discriminatedUnion('type', [
  /** The tasks are loaded and the dependencies open. */
  z.object({ type: z.literal('ready'), manifestHash: z.string(), rssBytes: z.number().nonnegative() }),
  /** They are not, and will not be. */
  z.object({ type: z.literal('broken'), message: z.string() }),
  /** The body begins now. A child that dies before this has not touched the run. */
  z.object({ type: z.literal('begun'), run: RunNumberSchema }),
  z.object({
    type: z.literal('log'),
    run: RunNumberSchema,
    level: z.enum(['debug', 'info', 'warn', 'error']),
    message: z.string(),
    fields: z.record(z.string(), z.unknown()).exactOptional(),
  }),
  z
    .object({
      type: z.literal('enqueue'),
      run: RunNumberSchema,
      call: z.int(),
      queue: z.string().refine(isQueueName, 'must be the name of a queue'),
      request: RunRequestSchema,
    })
    .refine(({ queue, request: { id } }) => isGivenRunId(id) || isGeneratedRunId(id, queue), {
      path: ['request', 'id'],
      message: 'must be an id that a task may give',
    }),
  /** The run has ended, and nothing more comes for it. `reusable`: false after an uncaught error. */
  z.object({
    type: z.literal('result'),
    run: RunNumberSchema,
    result: AttemptResultSchema,
    droppedLogs: z.int().nonnegative(),
    rssBytes: z.number().nonnegative(),
    reusable: z.boolean(),
  }),
]);
export type ChildMessage = z.output<typeof ChildMessageSchema>;

export type Parsed<Message> = { readonly message: Message } | { readonly problem: string };

export function parseParentMessage(received: unknown): Parsed<ParentMessage> {
  return parsed(ParentMessageSchema.safeParse(received));
}

export function parseChildMessage(received: unknown): Parsed<ChildMessage> {
  return parsed(ChildMessageSchema.safeParse(received));
}

function parsed<Message>(outcome: z.ZodSafeParseResult<Message>): Parsed<Message> {
  if (outcome.success) return { message: outcome.data };
  const [issue] = outcome.error.issues;
  return {
    problem: cut(`unexpected message: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, 500),
  };
}
