/**
 * A build as a next version might be: a copy that calls itself by another version, and adds to what it writes into Redis a
 * field of which the present build has never heard. Of an older build there is nothing to take, before the first release.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { BuildCopy } from '../support/build-copy.ts';

const NEXT_VERSION = '99.0.0-next';
/** The name of the field in all places, and its value in those that are JSON. */
export const NEW_FIELD = 'next';
export const NEW_VALUE = 'kept';

const PACKAGE = join(import.meta.dirname, '../../package.json');

function presentVersion(): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(PACKAGE, 'utf8'))).version;
}

export function nextBuild(): BuildCopy {
  const build = new BuildCopy();
  const json = `${NEW_FIELD}: "${NEW_VALUE}"`;
  build.replace(
    `var version = () => ${JSON.stringify(presentVersion())};`,
    `var version = () => "${NEXT_VERSION}";`,
    1,
  );
  // Options of runs: of those that are enqueued, and of those of schedules.
  build.replace('{JSON.stringify(options)}', `{JSON.stringify({ ...options, ${json} })}`, 1);
  build.replace('{ ...others, source: "schedule"', `{ ...others, ${json}, source: "schedule"`, 2);
  // What a consumer says of its tasks and of itself.
  build.replace(
    '[JSON.stringify(manifest), JSON.stringify(consumer)]',
    `[JSON.stringify({ ...manifest, ${json} }), JSON.stringify({ ...consumer, ${json} })]`,
    1,
  );
  // A schedule, and the settings of a queue.
  const lua = `'${NEW_FIELD}', '${NEW_VALUE}'`;
  const adopts = "change_schedule(schedule, 'generation', generation)";
  build.replace(adopts, `change_schedule(schedule, ${lua}) ${adopts}`, 1);
  const registers = "set_meta('leaseMs', lease_ms)";
  build.replace(registers, `set_meta(${lua}) ${registers}`, 1);
  return build;
}
