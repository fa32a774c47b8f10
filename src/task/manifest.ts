/** What a consumer publishes about its tasks: names, limits and schemas, so that the queue hands it only what it can run. */
import { z } from 'zod';
import { EXECUTORS, PRIORITIES } from './run.ts';

const TaskDescriptionSchema = z.object({
  name: z.string(),
  description: z.string().optional(),
  tags: z.array(z.string()),
  executor: z.enum(EXECUTORS),
  priority: z.enum(PRIORITIES),
  timeoutMs: z.number(),
  attempts: z.number(),
  /** Runs of this task at the same time in one queue, over all consumers; absent: no limit. */
  maxConcurrency: z.number().optional(),
  /** JSON Schema of what producers send (`z.input`); absent when the task takes no params. */
  paramsSchema: z.record(z.string(), z.unknown()).optional(),
  /** Hash of `paramsSchema`: two consumers with different hashes hold different versions of the task. */
  schemaHash: z.string(),
});
export type TaskDescription = z.output<typeof TaskDescriptionSchema>;

export const TaskManifestSchema = z.object({
  /** Hash over all of `tasks`: equal builds publish equal manifests. */
  hash: z.string(),
  /** When the tasks module was built, ms since the epoch. Where two manifests disagree on a limit, the newest decides. */
  builtAtMs: z.number(),
  tasks: z.array(TaskDescriptionSchema),
});
export type TaskManifest = z.output<typeof TaskManifestSchema>;
