/** How a body in a child process tells when it began: a line in a file, which every child can write to. */
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { sharedNowMs } from './measured-process.ts';

const LOOK_EVERY_MS = 2;
const DEADLINE_MS = 30_000;

/** In the child: `BENCH_STARTS` names the file. */
export function noteStart(id: number): void {
  const atMs = sharedNowMs();
  appendFileSync(process.env['BENCH_STARTS'] ?? '/dev/null', `${id} ${atMs}\n`);
}

/** In the bench: the lines one after the other. */
export function startsIn(file: string): () => Promise<{ id: number; atMs: number }> {
  let read = 0;
  return async () => {
    const endMs = sharedNowMs() + DEADLINE_MS;
    while (sharedNowMs() < endMs) {
      // The number of ms has a fraction of unknown length: only a line that has ended is whole.
      const [line, id, atMs] = /^(\d+) ([\d.]+)\n/.exec(readFileSync(file, 'utf8').slice(read)) ?? [];
      if (line !== undefined) {
        read += line.length;
        return { id: Number(id), atMs: Number(atMs) };
      }
      await sleep(LOOK_EVERY_MS);
    }
    throw new Error(`no body began within ${DEADLINE_MS} ms`);
  };
}
