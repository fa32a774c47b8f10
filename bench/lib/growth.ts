/** What the growth benches print as JSON, and `bench:draw` draws. */
import { z } from 'zod';

export const AXES = ['concurrency', 'lanes', 'backlog'] as const;
export type Axis = (typeof AXES)[number];

export const QUEUES = ['tidemill', 'bullmq'] as const;

const Point = z.object({
  axis: z.enum(AXES),
  at: z.number(),
  queue: z.enum(QUEUES),
  aof: z.boolean(),
  perSecond: z.number(),
});
export type Point = z.output<typeof Point>;

export const Growth = z.object({ name: z.literal('growth'), points: z.array(Point) });

const TickPoint = z.object({
  schedules: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number(),
  missed: z.number(),
  doubled: z.number(),
});
export type TickPoint = z.output<typeof TickPoint>;

export const GrowthTicks = z.object({
  name: z.literal('growth-ticks'),
  everySeconds: z.number(),
  points: z.array(TickPoint),
});

/** 1, 10, 100 … and `most` itself at the end. */
export function powersOfTen(from: number, most: number): readonly number[] {
  const powers: number[] = [];
  for (let power = from; power < most; power *= 10) powers.push(power);
  return [...powers, most];
}
