/**
 * Runs the Lua transitions. A script runs whole or not at all; when its answer is lost the outcome is unknown
 * (`BROKER_UNAVAILABLE`) and it is never sent again from here: only callers whose call may come twice do that.
 */
import { createHash } from 'node:crypto';
import { TidemillError } from '../../runtime/errors.ts';
import type { RedisClient } from './client.ts';
import type { Connection } from './connection.ts';
import { isMissingScript } from './reply-errors.ts';
import { scriptSource, type ScriptName } from './scripts.ts';

interface Script {
  readonly source: string;
  readonly sha: string;
}

const scripts = new Map<ScriptName, Script>();

function scriptOf(name: ScriptName): Script {
  let script = scripts.get(name);
  if (script === undefined) {
    const source = scriptSource(name);
    script = { source, sha: createHash('sha1').update(source).digest('hex') };
    scripts.set(name, script);
  }
  return script;
}

/**
 * What a call names as its keys. In a cluster a transition of a queue names a second one, which never exists: while the slot is
 * on its way to another server, both servers then answer TRYAGAIN before the script begins. With one key they would run it over
 * that part of the queue which they happen to have.
 */
function keysOf(client: RedisClient, key: string): readonly string[] {
  return client.isCluster && key.endsWith(META_ENDING) ? [key, `${key}${NEVER_THERE}`] : [key];
}

const META_ENDING = '}:meta';
const NEVER_THERE = ':never-there';

/** One call: by hash, and with the text when this server (restarted, failed over, flushed) does not know it. */
async function evaluate(
  client: RedisClient,
  { source, sha }: Script,
  key: string,
  args: readonly string[],
): Promise<unknown> {
  const keys = keysOf(client, key);
  try {
    return await client.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!isMissingScript(error)) throw error;
    // NOSCRIPT says that nothing ran, so this is no second time.
    return client.eval(source, keys.length, ...keys, ...args);
  }
}

export class ScriptRunner {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * @param key - KEYS[1]: the queue's meta hash, or the lock
   * @returns the reply, to be read with the functions below
   * @throws TidemillError as `Connection.call`, and BROKER_FORMAT when the queue is newer than this version
   */
  run(name: ScriptName, key: string, args: readonly string[], timeoutMs?: number): Promise<unknown> {
    const script = scriptOf(name);
    return this.#connection.call(name, (client) => evaluate(client, script, key, args), timeoutMs);
  }
}

function unexpected(expected: string, reply: unknown): TidemillError {
  const shown = JSON.stringify([reply]).slice(1, 200);
  return new TidemillError('INTERNAL', `a script answered ${shown}, expected ${expected}`);
}

export function asList(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected('a list', reply);
}

export function asText(reply: unknown): string {
  if (typeof reply === 'string') return reply;
  throw unexpected('a text', reply);
}

export function asTexts(reply: unknown): readonly string[] {
  return asList(reply).map(asText);
}

/** A whole number, given as one or as a text. */
export function asNumber(reply: unknown): number {
  const number = typeof reply === 'string' && reply !== '' ? Number(reply) : reply;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw unexpected('a number', reply);
}

/** A number, or `undefined` for the empty text. */
export function asOptionalNumber(reply: unknown): number | undefined {
  return reply === '' || reply === null ? undefined : asNumber(reply);
}

/** A flat list of pairs. */
export function asPairs(reply: unknown): readonly (readonly [string, string])[] {
  const flat = asTexts(reply);
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2)
    pairs.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return pairs;
}

/** One answer for each letter of a text. */
export function asAnswers<T>(
  reply: unknown,
  meanings: Readonly<Record<string, T>>,
  count: number,
): readonly T[] {
  const letters = asText(reply).split('');
  if (letters.length !== count) throw unexpected(`${count} answers`, reply);
  return letters.map((letter) => {
    const meaning = meanings[letter];
    if (meaning === undefined) throw unexpected(`only the letters ${Object.keys(meanings).join('')}`, reply);
    return meaning;
  });
}
