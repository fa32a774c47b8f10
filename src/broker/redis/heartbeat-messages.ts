/** What the heartbeat's thread and the event loop say to each other; each side parses what it gets. */
import { z } from 'zod';

const AddressSchema = z.object({
  url: z.string(),
  username: z.string().exactOptional(),
  password: z.string().exactOptional(),
  tlsCa: z.string().exactOptional(),
  sentinels: z
    .object({ name: z.string(), nodes: z.array(z.string()), password: z.string().exactOptional() })
    .exactOptional(),
  cluster: z.boolean().exactOptional(),
  prefix: z.string().exactOptional(),
});

/** Given to the thread at its start. */
export const HeartbeatSetupSchema = z.object({
  address: AddressSchema,
  incarnation: z.string(),
  queues: z.array(z.string()),
  leaseMs: z.number(),
  renewEveryMs: z.number(),
  stallMs: z.number(),
  /** Two 32-bit numbers: `BEATS` and `UNANSWERED`. */
  shared: z.instanceof(SharedArrayBuffer),
});
export type HeartbeatSetup = z.output<typeof HeartbeatSetupSchema>;

/** Index of the counter that the event loop raises with each beat. */
export const BEATS = 0;
/** Index of the mark of the oldest settle without an answer; 0: all are answered. It changes whenever the oldest does. */
export const UNANSWERED = 1;

/** Said to the thread later: renew in this queue, too. */
export const AddedQueueSchema = z.object({ queue: z.string() });
export type AddedQueue = z.output<typeof AddedQueueSchema>;

/** What the thread reports of one queue. */
export const HeartbeatReportSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('renewed'),
    queue: z.string(),
    cancellations: z.array(z.object({ id: z.string(), reason: z.string() })),
  }),
  z.object({ kind: z.literal('gone'), queue: z.string() }),
  z.object({ kind: z.literal('failed'), queue: z.string() }),
]);
export type HeartbeatReport = z.output<typeof HeartbeatReportSchema>;
