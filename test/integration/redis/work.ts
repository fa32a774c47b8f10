/** A queue on a real server, and a consumer's calls in a few words, for the tests of this folder. */
import assert from 'node:assert/strict';
import {
  DEFAULT_QUEUE_SETTINGS,
  type ClaimedRun,
  type Queue,
  type QueueSettings,
} from '../../../src/broker/broker.ts';
import { TidemillError, type ErrorCode } from '../../../src/runtime/errors.ts';
import type { RunRequest } from '../../../src/task/request.ts';
import type { Outcome } from '../../../src/task/run.ts';

export const LEASE_MS = 10_000;

export interface WorkerSketch {
  readonly tasks?: readonly string[];
  readonly maxConcurrency?: number;
  readonly leaseMs?: number;
  readonly settings?: Partial<QueueSettings>;
}

export async function register(queue: Queue, incarnation: string, sketch: WorkerSketch = {}): Promise<void> {
  const { tasks = ['job'], maxConcurrency, leaseMs = LEASE_MS, settings = {} } = sketch;
  const descriptions = tasks.map((name) => ({
    ...{
      name,
      executor: 'io' as const,
      schemaHash: 'schema',
      tags: [],
      priority: 'medium' as const,
      timeoutMs: 60_000,
      attempts: 1,
    },
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
  }));
  await queue.work.register({
    ...{ incarnation, leaseMs, settings: { ...DEFAULT_QUEUE_SETTINGS, ...settings } },
    manifest: { hash: JSON.stringify(descriptions), builtAtMs: 1_000, tasks: descriptions },
    consumer: { host: 'host', pid: 1, version: '0.0.0' },
  });
}

export function request(id: string, more: Partial<RunRequest> = {}): RunRequest {
  return { id, task: 'job', priority: 'medium', params: '{"n":1}', options: { source: 'api' }, ...more };
}

export const numbered = (
  prefix: string,
  count: number,
  more: Partial<RunRequest> = {},
): readonly RunRequest[] => Array.from({ length: count }, (_, index) => request(`${prefix}-${index}`, more));

export async function claim(queue: Queue, incarnation: string, io = 100): Promise<readonly ClaimedRun[]> {
  const reply = await queue.work.cycle({ incarnation, settle: [], claim: { io, cpu: 0 } });
  assert.equal(reply.lease, 'held');
  assert.equal(reply.claimError, undefined);
  return reply.claimed;
}

export const settlements = (runs: readonly ClaimedRun[], outcome: Outcome = { kind: 'succeeded' }) =>
  runs.map(({ record, token }) => ({ id: record.id, token, outcome }));

/** The code that the call was rejected with. */
export async function codeOf(call: Promise<unknown>): Promise<ErrorCode | 'none'> {
  try {
    await call;
    return 'none';
  } catch (error) {
    assert.ok(error instanceof TidemillError, String(error));
    return error.code;
  }
}

/** How long the call took to end, in any way. */
export async function durationMs(call: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await call.catch(() => undefined);
  return performance.now() - startMs;
}
