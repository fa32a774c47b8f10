/** Version and commit, from the files that state them. The build has its own form of this file, which reads nothing. */
import { readFileSync } from 'node:fs';

/** Without a schema: the library for that would be most of what `--help` loads. */
export function version(): string {
  const found: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const value: unknown = Reflect.get(Object(found) as object, 'version');
  if (typeof value !== 'string') throw new TypeError('package.json states no version');
  return value;
}

/** Sources that run as they are have no build, and no commit. */
export function commit(): string {
  return 'unknown';
}
