/**
 * The Lua scripts as texts. The only module that reads `.lua` files: the build replaces it by a generated one with the same
 * exports and the texts inside, so that what is published reads no file at run time.
 */
import { readFileSync } from 'node:fs';

/** One script for each transition; those of schedules and of people stand below the line. */
export const SCRIPT_NAMES = [
  'cancel',
  'cycle',
  'enqueue',
  'held',
  'hold-lock',
  'leave',
  'promote',
  'recover',
  'redrive',
  'register',
  'release-lock',
  'renew',
  // ---
  'adopt',
  'adopted',
  'consumers',
  'decisions',
  'fire',
  'manifests',
  'pause-queue',
  'pause-task',
  'purge',
  'request',
  'requested',
  'search',
  'states',
  'stats',
  'tasks',
  'withdraw',
] as const;
export type ScriptName = (typeof SCRIPT_NAMES)[number];

const INCLUDE = /^--- @include (\S+)$/gm;

/**
 * The whole text of a script: each `--- @include lib/x` is replaced by `lua/lib/x.lua`, once, in the order of first mention.
 * Comments of whole lines are left out, as Redis would store them.
 */
export function scriptSource(name: ScriptName): string {
  const [shebang = '', ...lines] = read(name).split('\n');
  const included = new Set<string>();
  const body = expand(lines.join('\n'), included);
  return `${shebang}\n${body.replaceAll(/^\s*--.*\n/gm, '')}`;
}

function expand(text: string, included: Set<string>): string {
  return text.replaceAll(INCLUDE, (_line, file: string) => {
    if (included.has(file)) return '';
    included.add(file);
    return expand(read(file), included);
  });
}

function read(file: string): string {
  return readFileSync(new URL(`./lua/${file}.lua`, import.meta.url), 'utf8');
}
