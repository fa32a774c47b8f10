/** How the parts of a run are read from outside this process: from a record in Redis, and from a child's message. */
import { z } from 'zod';
import { FAILURE_REASONS, RUN_SOURCES, type RunError, type RunOptions } from './run.ts';

export const RunErrorSchema = z.object({
  reason: z.enum(FAILURE_REASONS),
  name: z.string(),
  message: z.string(),
  stack: z.string().exactOptional(),
}) satisfies z.ZodType<RunError>;

export const RunOptionsSchema = z.object({
  source: z.enum(RUN_SOURCES),
  timeoutMs: z.number().exactOptional(),
  retry: z
    .object({
      attempts: z.number().exactOptional(),
      backoffMs: z.number().exactOptional(),
      maxBackoffMs: z.number().exactOptional(),
    })
    .exactOptional(),
  parentId: z.string().exactOptional(),
  rootId: z.string().exactOptional(),
  schedule: z
    .object({ uid: z.string(), namespace: z.string(), name: z.string(), slotMs: z.number().exactOptional() })
    .exactOptional(),
}) satisfies z.ZodType<RunOptions>;
