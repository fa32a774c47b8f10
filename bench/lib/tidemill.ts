/** The real `tidemill` processes of the benches: what was built, with every default. */
import { join } from 'node:path';
import { MeasuredProcess } from './measured-process.ts';

const BINARY = join(import.meta.dirname, '../../bin/tidemill.js');
/** Any free port, and nobody else's: a bench must not fail over another that runs. */
const LOCAL = ['--http-host', '127.0.0.1', '--http-port', '0'];

export interface TidemillOptions {
  readonly redis: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export function tidemill(
  command: 'consumer' | 'scheduler',
  { redis, args = [], env = {} }: TidemillOptions,
): MeasuredProcess {
  return new MeasuredProcess(
    `tidemill ${command}`,
    [...profileFlags(), BINARY, command, '--redis', redis, ...LOCAL, ...args],
    env,
  );
}

/** `BENCH_PROFILE=<folder>` writes CPU profiles of our processes there. */
function profileFlags(): readonly string[] {
  const folder = process.env['BENCH_PROFILE'];
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}
