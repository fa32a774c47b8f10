/** The `ScheduledTask` object: its names, its one schema, and how an unknown value becomes one. */
import { z } from 'zod';
import { explainIssue, type FieldProblem, forbiddenKeys, unknownFields } from './field-problems.ts';
import { OBJECT_NAME_MAX_LENGTH, type ObjectMetadata, ObjectMetadataSchema } from './metadata.ts';
import { type ScheduledTaskSpec, ScheduledTaskSpecSchema } from './spec-schema.ts';
import { type ScheduledTaskStatus, ScheduledTaskStatusSchema } from './status-schema.ts';

export type { ScheduledTaskSpec, ScheduledTaskSpecInput } from './spec-schema.ts';
export type { ScheduledTaskStatus } from './status-schema.ts';

export const GROUP = 'tidemill.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = 'ScheduledTask';
export const PLURAL = 'scheduledtasks';

/** What the CRD is generated from. Of the metadata only the name has a rule of ours. */
export const ScheduledTaskSchema = z
  .object({
    apiVersion: z.string().meta({ description: 'Always tidemill.dev/v1alpha1.' }).optional(),
    kind: z.string().meta({ description: 'Always ScheduledTask.' }).optional(),
    metadata: z.object({ name: z.string().max(OBJECT_NAME_MAX_LENGTH).optional() }).optional(),
    spec: ScheduledTaskSpecSchema,
    status: ScheduledTaskStatusSchema.optional(),
  })
  .meta({
    description:
      'A ScheduledTask says which task runs, when and how. The consumers that know the task run it.',
  });

export interface ScheduledTask {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof KIND;
  readonly metadata: ObjectMetadata;
  /** Defaults applied. */
  readonly spec: ScheduledTaskSpec;
  /** Absent also when it cannot be read: nothing that stands in a status may stop a schedule. */
  readonly status?: ScheduledTaskStatus;
}

const EnvelopeSchema = z.object({
  apiVersion: z.literal(API_VERSION, `must be ${API_VERSION}`),
  kind: z.literal(KIND, `must be ${KIND}`),
  metadata: ObjectMetadataSchema,
  spec: ScheduledTaskSpecSchema,
  status: z.unknown().optional(),
});

export type ParsedScheduledTask =
  | { readonly kind: 'object'; readonly object: ScheduledTask }
  | { readonly kind: 'invalid'; readonly problems: readonly FieldProblem[] };

/**
 * Reads one object. All problems are told at once, each with its field, value and rule.
 *
 * @param unknown - `refuse` for files, where an unknown field is a typing error; `ignore` for objects of an API server,
 *   which has pruned what its CRD does not know and may serve fields of a newer one
 */
export function parseScheduledTask(value: unknown, unknown: 'refuse' | 'ignore'): ParsedScheduledTask {
  const parsed = EnvelopeSchema.safeParse(value);
  const problems = [
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => explainIssue(issue, value))),
    ...forbiddenKeys(value),
    ...(unknown === 'refuse' ? unknownFields(EnvelopeSchema, value) : []),
  ];
  if (!parsed.success || problems.length > 0) return { kind: 'invalid', problems };
  const { status, ...object } = parsed.data;
  const readable = ScheduledTaskStatusSchema.safeParse(status);
  return { kind: 'object', object: readable.success ? { ...object, status: readable.data } : object };
}
