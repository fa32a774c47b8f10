/** A task that notes when its body began, by schedule and slot. Lines go to a file in chunks: 1,000 a second are expected. */
import { openSync, writeSync } from 'node:fs';
import { defineTask } from 'tidemill';

const FLUSH_AT = 256;
const FLUSH_AFTER_MS = 200;
const file = openSync(process.env['BENCH_STARTS'] ?? '/dev/null', 'a');
let lines: string[] = [];

function flush(): void {
  if (lines.length > 0) writeSync(file, lines.join(''));
  lines = [];
}
setInterval(flush, FLUSH_AFTER_MS).unref();
process.once('exit', flush);

export const tick = defineTask({
  name: 'tick',
  run({ run }) {
    const atMs = performance.timeOrigin + performance.now();
    lines.push(`${run.schedule?.name ?? ''} ${run.slot?.getTime() ?? 0} ${atMs}\n`);
    if (lines.length >= FLUSH_AT) flush();
  },
});
