/** What an error from Redis or from its client means to our callers: did nothing happen, or is that unknown? */
import { TidemillError, type ErrorCode } from '../../runtime/errors.ts';

/** First words of Redis's error replies that say "not now": nothing was done, and asking again later may work. */
const NOT_NOW = new Set([
  'LOADING',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'BUSY',
  'READONLY',
  'UNKILLABLE',
  'NOREPLICAS',
  'MOVED',
]);

const ADVICE: Readonly<Record<string, string>> = {
  OOM: 'Redis is full (maxmemory); running work drains, new work is refused until memory is free',
  MISCONF: 'Redis cannot write to its disk and refuses every write until that is mended',
  NOPERM: 'the user of this connection lacks a right; tidemill redis-acl prints those that it needs',
  NOAUTH: 'Redis wants a password, and none was given',
  WRONGPASS: 'Redis refuses the user name or the password',
  WRONGTYPE: 'a key of this queue holds a value of another type; something else writes to this prefix',
  TIDEMILL_WRONGTYPE:
    'a key of this queue holds a value of another type; something else writes to this prefix',
};

export type RefusalReason = 'memory' | 'disk' | 'rights' | 'other';

const REFUSAL_REASON: Readonly<Record<string, RefusalReason>> = {
  ...{ OOM: 'memory', MISCONF: 'disk', NOPERM: 'rights', NOAUTH: 'rights', WRONGPASS: 'rights' },
};

/** What kind of error reply stands behind an error of ours; `undefined` when Redis did not refuse. */
export function refusalReason(error: unknown): RefusalReason | undefined {
  if (!(error instanceof TidemillError) || error.code !== 'BROKER_REFUSED') return undefined;
  const said = error.cause instanceof Error ? error.cause.message : '';
  return REFUSAL_REASON[kindOf(said)] ?? 'other';
}

/** An error reply of Redis, as ioredis and redis-errors make it. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** ioredis refused to send a command, because its socket is not ready and nothing queues in it. */
export function isUnsent(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable");
}

/** A right that is missing inside of a script is told in sentences, which differ from version to version. */
const SCRIPT_LACKS_RIGHT = /^ERR (The user executing the script can't |ACL failure in script)/;

/** The first word of an error reply, which says what kind it is. */
function kindOf(said: string): string {
  return SCRIPT_LACKS_RIGHT.test(said) ? 'NOPERM' : (said.split(' ', 1)[0] ?? '');
}

export function isMissingScript(error: unknown): boolean {
  return isReplyError(error) && error.message.startsWith('NOSCRIPT');
}

/** Anything that a call to Redis may throw, as one of our errors. */
export function toBrokerError(error: unknown, doing: string): TidemillError {
  if (error instanceof TidemillError) return error;
  if (!isReplyError(error)) {
    const why = error instanceof Error ? error.message : String(error);
    const message = `${doing}: no answer from Redis (${why}); it may or may not have happened`;
    return new TidemillError('BROKER_UNAVAILABLE', message, {
      cause: error instanceof Error ? withoutCommand(error) : error,
    });
  }
  const message = `${doing}: ${meaningOf(error)}`;
  return new TidemillError(codeOf(kindOf(error.message)), message, { cause: withoutCommand(error) });
}

/** What an error reply means to an operator, with what Redis said. */
export function meaningOf(error: Error): string {
  const advice = adviceFor(error.message);
  const said = error.message.slice(0, 300);
  return advice === undefined ? said : `${advice} (${said})`;
}

function adviceFor(said: string): string | undefined {
  if (/^ERR .*DB index is out of range/.test(said))
    return 'Redis does not have the database that the URL names; its setting `databases` says how many there are';
  return ADVICE[kindOf(said)];
}

/** ioredis adds the command with all its words, a password or someone's params among them. */
export function withoutCommand(error: Error): Error {
  const copy = new Error(error.message.slice(0, 300));
  copy.name = error.name;
  return copy;
}

function codeOf(word: string): ErrorCode {
  if (word === 'TIDEMILL_FORMAT') return 'BROKER_FORMAT';
  if (word === 'TIDEMILL_ARGUMENT') return 'INTERNAL';
  return NOT_NOW.has(word) ? 'BROKER_UNAVAILABLE' : 'BROKER_REFUSED';
}
