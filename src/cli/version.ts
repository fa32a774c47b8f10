/** Which build this is: the version, from the one place that states it, and the commit, which the build wrote beside it. */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const PackageJson = z.object({ version: z.string() });
const BuildJson = z.object({ commit: z.string() });

function read(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
}

/** Two folders up from both `src/cli` and `dist/cli`. */
export const VERSION = PackageJson.parse(read('../../package.json')).version;

/** Written by `.ci/build.ts`; sources that run as they are have no build, and no commit. */
const BUILD_FILE = '../build.json';
const { commit } = existsSync(new URL(BUILD_FILE, import.meta.url))
  ? BuildJson.parse(read(BUILD_FILE))
  : { commit: 'unknown' };

/** What `tidemill_build_info` says. The commit is short, as people write it, or `unknown`. */
export const BUILD = { version: VERSION, commit: shortCommit(commit) } as const;

/** What `--version` prints. */
export const VERSION_LINE = `${VERSION} (commit ${BUILD.commit}, Node ${process.versions.node})`;

/** Seven digits name a commit; what follows them says that the tree had changes. */
function shortCommit(text: string): string {
  return text.replace(/^([0-9a-f]{7})[0-9a-f]*/, '$1');
}
