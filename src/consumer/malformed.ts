/** Tells a run record that cannot be executed from one that can: what a queue holds comes from outside this process. */
import { messageOf, TidemillError } from '../runtime/errors.ts';
import type { Outcome, RunRecord } from '../task/run.ts';

const MESSAGE_LENGTH = 1_024;

/** @throws TidemillError INTERNAL that names the field: whoever wrote the record broke the contract */
export function checkRecord(record: RunRecord): void {
  const { params, options, attempt }: Readonly<Record<'params' | 'options' | 'attempt', unknown>> = record;
  if (typeof params !== 'string') throw wrong('params', 'a JSON text', params);
  if (typeof options !== 'object' || options === null) throw wrong('options', 'an object', options);
  if (!Number.isSafeInteger(attempt)) throw wrong('attempt', 'a whole number', attempt);
  if (record.options.source === 'unknown')
    throw new TidemillError('INTERNAL', 'options of the run record cannot be read: something else wrote it');
  const timeoutMs: unknown = Reflect.get(options, 'timeoutMs');
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0))
    throw wrong('options.timeoutMs', 'a positive number', timeoutMs);
}

function wrong(field: string, expected: string, value: unknown): TidemillError {
  return new TidemillError(
    'INTERNAL',
    `${field} of the run record must be ${expected}, not of type ${typeof value}`,
  );
}

/** The end of a run whose record cannot be read: no retry would mend it. */
export function malformed(error: unknown): Outcome {
  const message = messageOf(error).slice(0, MESSAGE_LENGTH);
  return { kind: 'failed', error: { reason: 'MalformedRecord', name: 'MalformedRecord', message } };
}
