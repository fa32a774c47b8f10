/** Which build this is: the version, from the one place that states it, and the commit, which the build put in. */
import { commit, version } from './build-files.ts';

export const VERSION = version();

/** What `tidemill_build_info` says. The commit is short, as people write it, or `unknown`. */
export const BUILD = { version: VERSION, commit: shortCommit(commit()) } as const;

/** What `--version` prints. */
export const VERSION_LINE = `${VERSION} (commit ${BUILD.commit}, Node ${process.versions.node})`;

/** Seven digits name a commit; what follows them says that the tree had changes. */
function shortCommit(text: string): string {
  return text.replace(/^([0-9a-f]{7})[0-9a-f]*/, '$1');
}
