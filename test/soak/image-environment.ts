/** A soak watches memory as it is where Tidemill runs: under the environment that its image sets. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the `ENV` lines of a Dockerfile set, values without spaces. */
export function environmentIn(dockerfile: string): Readonly<Record<string, string>> {
  const set: Record<string, string> = {};
  for (const [, pairs = ''] of dockerfile.matchAll(/^ENV (.*)$/gm))
    for (const [, name = '', value = ''] of pairs.matchAll(/(\w+)=(\S*)/g)) set[name] = value;
  return set;
}

export const IMAGE_ENVIRONMENT = environmentIn(
  readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8'),
);
