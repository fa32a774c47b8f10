/** The Lua scripts: which there are, and their texts with what they include. */
import { luaFile } from './lua-files.ts';

/** One script for each transition; those of schedules and of people stand below the line. */
export const SCRIPT_NAMES = [
  'call-off',
  'cancel',
  'claim',
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
 * Libraries after which a new scope begins. Lua makes the functions of a script anew for each call, and looks for each
 * local that they use of their own scope in one long list; those of an outer scope it has at hand. Measured: a call of
 * `cycle` that finds nothing to do took 80 µs in one scope and takes 52. More scopes gain nothing, and a scope may use
 * at most 60 locals of those around it.
 */
const SCOPES_AFTER: ReadonlySet<string> = new Set(['lib/base', 'lib/lanes']);
const SCOPE_BEGINS = 'return (function()\n';
const SCOPE_ENDS = 'end)()\n';

/**
 * The whole text of a script: each `--- @include lib/x` is replaced by `lua/lib/x.lua`, once, in the order of first mention.
 * Comments of whole lines are left out, as Redis would store them.
 */
export function scriptSource(name: ScriptName): string {
  const [shebang = '', ...lines] = luaFile(name).split('\n');
  const included = new Set<string>();
  const body = expand(lines.join('\n'), included).replaceAll(/^\s*--.*\n/gm, '');
  return `${shebang}\n${body}${SCOPE_ENDS.repeat(included.intersection(SCOPES_AFTER).size)}`;
}

function expand(text: string, included: Set<string>): string {
  return text.replaceAll(INCLUDE, (_line, file: string) => {
    if (included.has(file)) return '';
    included.add(file);
    return expand(luaFile(file), included) + (SCOPES_AFTER.has(file) ? SCOPE_BEGINS : '');
  });
}
