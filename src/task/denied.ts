/** What the permission model of Node refused, in words that say which setting of ours allows it. */
import { messageOf } from '../runtime/errors.ts';
import { quoted } from '../runtime/printable.ts';

/** Causes followed; a chain may refer back to itself. */
const MOST_CAUSES = 5;

/** By `permission` of Node's error: what was refused, and what allows it. */
const REFUSED: Readonly<Record<string, { readonly what: string; readonly setting: string }>> = {
  FileSystemRead: { what: 'read', setting: '--child-read' },
  FileSystemWrite: { what: 'write', setting: '--child-write' },
  ChildProcess: { what: 'start a process', setting: '--child-allow child-process' },
  WorkerThreads: { what: 'start a thread', setting: '--child-allow worker' },
  WASI: { what: 'use WASI', setting: '--child-allow wasi' },
};
const ADDON = { what: 'load a native addon', setting: '--child-allow addons' };

/** What was thrown said that Node refused something: the sentence for whoever reads it. */
export function refusedByNode(thrown: unknown): string | undefined {
  try {
    return refusalIn(thrown);
  } catch {
    return undefined; // a throwing getter or a hostile proxy
  }
}

function refusalIn(thrown: unknown): string | undefined {
  let current = thrown;
  for (let depth = 0; depth <= MOST_CAUSES && current instanceof Error; depth++) {
    const refused = refusalOf(current);
    // Node's own sentence names flags that nobody can give; that of somebody else's error stands.
    if (refused !== undefined) return current === thrown ? refused : `${messageOf(thrown)}; ${refused}`;
    current = current.cause;
  }
  return undefined;
}

function refusalOf(error: Error): string | undefined {
  const code: unknown = Reflect.get(error, 'code');
  if (code === 'ERR_DLOPEN_DISABLED') return sentence(ADDON);
  const permission: unknown = Reflect.get(error, 'permission');
  if (code !== 'ERR_ACCESS_DENIED' || typeof permission !== 'string') return undefined;
  const refused = Object.hasOwn(REFUSED, permission) ? REFUSED[permission] : undefined;
  return refused && sentence(refused, Reflect.get(error, 'resource'));
}

function sentence({ what, setting }: { what: string; setting: string }, resource?: unknown): string {
  const object = typeof resource === 'string' && resource.startsWith('/') ? ` ${quoted(resource, 200)}` : '';
  return `this process may not ${what}${object}; ${setting} allows it where --child-restricted does not (ERR_ACCESS_DENIED)`;
}
