/** Runs the demo as a newcomer does and stops it as a newcomer does: it must fire, run, retry, fail, and end cleanly. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const DEADLINE_MS = 60_000;
/** What must be seen before Ctrl-C: each line of output is tested against these. */
const WANTED: Readonly<Record<string, RegExp>> = {
  'a schedule fires': /north-pier-readings/,
  'an IO task succeeds': /fetch-readings/,
  'a CPU-bound task succeeds': /forecast-tide/,
  'a task is retried': /send-alert.*(retry|again)/i,
  'a task fails for good': /inspect-light.*(fail)/i,
};

const demo = spawn(process.execPath, [join(root, 'examples/demo.ts')], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'pipe'],
  detached: true,
});
const missing = new Set(Object.keys(WANTED));
let output = '';
let interrupted = false;

const interrupt = (): void => {
  if (interrupted || demo.pid === undefined) return;
  interrupted = true;
  process.kill(-demo.pid, 'SIGINT');
};
const deadline = setTimeout(interrupt, DEADLINE_MS);

const read = (chunk: Buffer): void => {
  output += chunk.toString();
  for (const [what, pattern] of Object.entries(WANTED)) {
    if (output.split('\n').some((line) => pattern.test(line))) missing.delete(what);
  }
  if (missing.size === 0) interrupt();
};
demo.stdout.on('data', read);
demo.stderr.on('data', read);

const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
  demo.once('close', (exitCode, exitSignal) => {
    resolve([exitCode, exitSignal]);
  });
});
clearTimeout(deadline);

process.stdout.write(`${output}\n`);
if (missing.size > 0 || code !== 0) {
  process.stderr.write(
    `the demo ended with ${code ?? signal ?? 'nothing'}; not seen within ${DEADLINE_MS} ms: ${[...missing].join(', ') || 'nothing'}\n`,
  );
  process.exit(1);
}
process.stdout.write('the demo fired, ran, retried, failed and stopped cleanly\n');
