/** What is left in Redis, in a form in which two histories of the same work can be compared. */
import type { Redis } from 'ioredis';
import { RawRedis } from './raw-redis.ts';

/** Instants differ from run to run; what was decided shows in ids, counts and states. */
const INSTANT = /(?<![\d-])1[6-9]\d{11}(?!\d)/g;
/** Incarnations, producers and other names that a process makes up. */
const MADE_UP = /(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])/g;

/** state;attempt;deaths;suspect;enqueued;due;expires;started;ended;incarnation: all but the state is history. */
const HEAD = /^([pdrsfcx]);\d+;\d+;[01];[^\n]*/;

/** Counters and notes of the queue that tell how often something was asked, not what came of it. */
const HISTORY_OF_META = new Set([
  'tokens',
  'heardUntilMs',
  'wasAway',
  'duty',
  'dutyAtMs',
  'bytesSucceeded',
  'bytesFailed',
]);
/** Hints for processes that wait, and remembered answers: nothing is derived from them. */
const HINTS = /:(outcomes|wake:.*|producer:.*)$/;

const plain = (text: string): string => text.replaceAll(INSTANT, 'T').replaceAll(MADE_UP, 'NAME');

function pairs(
  flat: Readonly<Record<string, string>>,
  isHistory: (field: string) => boolean,
): readonly string[] {
  return Object.entries(flat)
    .filter(([field]) => !isHistory(field))
    .map(([field, value]) => plain(`${field} = ${value.replace(HEAD, '$1')}`))
    .toSorted();
}

async function valueOf(client: Redis, key: string): Promise<readonly string[]> {
  const type = await client.type(key);
  if (type === 'hash') {
    const isMeta = key.endsWith(':meta');
    // Lanes of suspects are left behind by a death, and hold nothing.
    const isLeftOver = (field: string): boolean =>
      isMeta ? HISTORY_OF_META.has(field) : field.startsWith('s:');
    const values = pairs(await client.hgetall(key), isLeftOver);
    // When a lane had its turns depends on how many there were at a time.
    return key.endsWith(':lanes') ? values.map((line) => line.replace(/ = .*/, '')) : values;
  }
  if (type === 'list') return (await client.lrange(key, 0, -1)).map(plain).toSorted();
  if (type === 'set') return (await client.smembers(key)).map(plain).toSorted();
  if (type === 'zset') return (await client.zrange(key, '0', '-1')).map(plain).toSorted();
  return [type];
}

/** Gives a server the same content as another has. */
export async function copyAll(fromPort: number, toPort: number): Promise<void> {
  using from = new RawRedis(fromPort);
  using to = new RawRedis(toPort);
  for (const key of await from.client.keys('*'))
    await to.client.restore(key, 0, await from.client.dumpBuffer(key));
}

/** One line for each key: its name and what it holds. */
export async function endState(port: number): Promise<readonly string[]> {
  using raw = new RawRedis(port);
  const lines: string[] = [];
  for (const key of await raw.client.keys('*')) {
    if (HINTS.test(key)) continue;
    const value = await valueOf(raw.client, key);
    if (value.length > 0) lines.push(`${plain(key)}: ${value.join(' | ')}`);
  }
  return lines.toSorted();
}
