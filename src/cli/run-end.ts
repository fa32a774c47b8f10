/** Waits for the end of one run, and prints it: for the commands that start one. */
import type { Queue } from '../broker/broker.ts';
import { TidemillError } from '../runtime/errors.ts';
import type { RunRecord } from '../task/run.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { printable, showDuration, showTook } from './format.ts';
import { type Io, styled } from './io.ts';
import { writeJson } from './output.ts';
import { runJson } from './show-run.ts';

/** @throws TidemillError RUN_NOT_FOUND, WAIT_TIMEOUT */
export async function endOf({ runs }: Queue, id: string, timeoutMs: number): Promise<RunRecord> {
  const record = await runs.waitForEnd(id, { timeoutMs });
  if (record === 'not-found') throw new TidemillError('RUN_NOT_FOUND', `run ${id} is not known any more`);
  if (record !== undefined) return record;
  throw new TidemillError(
    'WAIT_TIMEOUT',
    `run ${id} has not ended within ${showDuration(timeoutMs)}: it is still in the queue, and may still run`,
  );
}

/** @returns 1 when it did not succeed */
export function reportEnd(io: Io, json: boolean, record: RunRecord): ExitCode {
  const succeeded = record.state === 'succeeded';
  if (json) writeJson(io, runJson(record));
  else {
    const { endedAtMs = 0, startedAtMs = endedAtMs } = record;
    const why =
      record.error === undefined
        ? (record.cancelReason ?? '')
        : `${record.error.reason}: ${record.error.message}`;
    const state = styled(io, succeeded ? 'green' : 'red', record.state);
    io.stderr.write(
      `${record.task} ${state} in ${showTook(startedAtMs, endedAtMs)}${why === '' ? '' : `: ${printable(why)}`}\n`,
    );
    if (record.result !== undefined) io.stdout.write(`${record.result}\n`);
  }
  return succeeded ? EXIT.ok : EXIT.failure;
}
