/** What zod found, in our words: one problem for each issue, with the path as one would write it in code. */
import type { z } from 'zod';
import type { Problem } from '../runtime/errors.ts';
import { pathTo } from './json.ts';

const MOST_PROBLEMS = 20;

/** @param root - what the path begins with: `params` or `result` */
export function schemaProblems(error: Pick<z.core.$ZodError, 'issues'>, root: string): readonly Problem[] {
  return error.issues
    .slice(0, MOST_PROBLEMS)
    .map(({ path, message }) => ({ at: rooted(root, path.reduce<string>(pathTo, '')), message }));
}

/** `params`, `params.url`, `params["odd key"]`. */
export const rooted = (root: string, path: string): string =>
  path === '' || path.startsWith('[') ? `${root}${path}` : `${root}.${path}`;
