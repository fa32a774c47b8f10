/** The tasks of the simulated consumers: how long a body takes and whether it fails follows from seed, run and attempt. */
import { z } from 'zod';
import { buildManifest } from '../../src/task/build-manifest.ts';
import { defineTask } from '../../src/task/define-task.ts';
import { TaskRegistry } from '../../src/task/registry.ts';
import type { AnyTask } from '../../src/task/types.ts';
import { RandomSource } from '../support/random.ts';
import { seedOf } from './plan.ts';
import type { SimulatedProcess } from './process.ts';
import { LIMITED_TASK_CONCURRENCY, POISON } from './settings.ts';

export interface Bodies {
  readonly seed: number;
  readonly began: (runId: string) => void;
  /** A body came to its end. */
  readonly ended: (runId: string) => void;
  /** A body ends its process. */
  readonly kill: (process: SimulatedProcess) => void;
}

interface Body {
  readonly shortestMs: number;
  readonly longestMs: number;
  /** Share of attempts that fail. */
  readonly fails: number;
}

export const BODIES = {
  work: { shortestMs: 5, longestMs: 2_000, fails: 0 },
  limited: { shortestMs: 500, longestMs: 4_000, fails: 0 },
  flaky: { shortestMs: 5, longestMs: 1_000, fails: 0.5 },
  slow: { shortestMs: 4_000, longestMs: 20_000, fails: 0 },
} as const satisfies Record<string, Body>;
export type TaskName = keyof typeof BODIES;
export const TASK_NAMES: readonly TaskName[] = ['work', 'limited', 'flaky', 'slow'];

const params = z.object({});

export function registryOf(process: SimulatedProcess, bodies: Bodies): TaskRegistry {
  const task = (name: TaskName, options: object): AnyTask =>
    defineTask({
      ...{ name, params, timeout: '60s', ...options },
      run: ({ run, signal }) => play(BODIES[name], process, bodies, run, signal),
    });
  return new TaskRegistry([
    task('work', {}),
    task('slow', {}),
    task('limited', { maxConcurrency: LIMITED_TASK_CONCURRENCY }),
    task('flaky', { retry: { attempts: 3, backoff: '500ms' } }),
    defineTask({
      ...{ name: POISON, params },
      run: async () => {
        await process.clock.sleep(200);
        bodies.kill(process);
        await process.runs();
      },
    }),
  ]);
}

async function play(
  { shortestMs, longestMs, fails }: Body,
  process: SimulatedProcess,
  bodies: Bodies,
  run: { readonly id: string; readonly attempt: number },
  signal: AbortSignal,
): Promise<void> {
  bodies.began(run.id);
  const random = new RandomSource(seedOf(bodies.seed, run.id, run.attempt));
  const hasFailed = random.next() < fails;
  await process.clock.sleep(random.between({ min: shortestMs, max: longestMs }), signal);
  signal.throwIfAborted();
  if (hasFailed) throw new Error('drawn to fail');
  bodies.ended(run.id);
}

let known: ReturnType<typeof buildManifest> | undefined;

/** The same for every process: their tasks differ in nothing that it tells. */
export function manifestOf(registry: TaskRegistry): ReturnType<typeof buildManifest> {
  known ??= buildManifest(registry, 1);
  return known;
}
