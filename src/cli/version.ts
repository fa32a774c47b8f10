/** The version of this package, from the one place that states it. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const PackageJson = z.object({ version: z.string() });

/** Two folders up from both `src/cli` and `dist/cli`. */
export const VERSION = PackageJson.parse(
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')),
).version;
