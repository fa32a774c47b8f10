/** Whether a server can hold our queues: decided from what INFO says, so that no right to CONFIG is needed. */
import { ProblemsError, TidemillError, type Problem } from '../../runtime/errors.ts';
import type { QueueSettings } from '../broker.ts';
import type { Connection } from './connection.ts';

export interface ServerFacts {
  readonly product: 'Redis' | 'Valkey';
  readonly version: string;
  /** Absent when the server does not say. */
  readonly evictionPolicy?: string;
  /** 0: no limit. */
  readonly maxMemoryBytes: number;
}

const FLOOR = { Redis: [7, 0], Valkey: [7, 2] } as const;

/** Versions with a published hole that a user of a queue could reach; `below` is the first mended one of its line. */
const VULNERABLE = [
  { product: 'Redis', from: [7, 0, 0], below: [7, 2, 11], cve: 'CVE-2025-49844' },
  { product: 'Redis', from: [7, 4, 0], below: [7, 4, 6], cve: 'CVE-2025-49844' },
  { product: 'Redis', from: [8, 0, 0], below: [8, 0, 4], cve: 'CVE-2025-49844' },
  { product: 'Redis', from: [8, 2, 0], below: [8, 2, 3], cve: 'CVE-2025-49844, CVE-2025-62507' },
  { product: 'Redis', from: [7, 2, 11], below: [8, 6, 3], cve: 'CVE-2026-23479' },
  { product: 'Valkey', from: [7, 2, 0], below: [7, 2, 11], cve: 'CVE-2025-49844' },
  { product: 'Valkey', from: [8, 0, 0], below: [8, 0, 6], cve: 'CVE-2025-49844' },
  { product: 'Valkey', from: [8, 1, 0], below: [8, 1, 4], cve: 'CVE-2025-49844' },
] as const;

/** Reads the text of INFO. */
export function parseInfo(info: string): ServerFacts {
  const fields = new Map<string, string>();
  for (const line of info.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  const valkey = fields.get('valkey_version');
  const evictionPolicy = fields.get('maxmemory_policy');
  return {
    product: valkey === undefined ? 'Redis' : 'Valkey',
    version: valkey ?? fields.get('redis_version') ?? '',
    maxMemoryBytes: Number(fields.get('maxmemory') ?? '0') || 0,
    ...(evictionPolicy === undefined ? {} : { evictionPolicy }),
  };
}

/** What makes the server unusable; empty when nothing does. */
export function findProblems({ product, version, evictionPolicy }: ServerFacts): readonly Problem[] {
  const problems: Problem[] = [];
  if (version !== '' && compareVersions(parseVersion(version), FLOOR[product]) < 0) {
    const floor = FLOOR[product].join('.');
    problems.push({
      at: 'version',
      message: `${product} ${version} is too old; Redis 7.0 or Valkey 7.2 is needed (this line: ${floor} or newer)`,
    });
  }
  if (evictionPolicy !== undefined && evictionPolicy !== 'noeviction') {
    problems.push({
      at: 'maxmemory-policy',
      message: `is ${evictionPolicy}, which lets Redis delete waiting runs when its memory is full; set it to noeviction`,
    });
  }
  return problems;
}

/** What an operator should know, though the server can be used. */
export function findWarnings({ product, version, evictionPolicy }: ServerFacts): readonly string[] {
  const warnings: string[] = [];
  if (version === '')
    warnings.push('this user may not read INFO: version and eviction policy of Redis are not checked');
  else if (evictionPolicy === undefined)
    warnings.push('Redis does not say its maxmemory-policy; it must be noeviction');
  const parsed = parseVersion(version);
  const known = VULNERABLE.filter(
    (range) =>
      range.product === product &&
      compareVersions(parsed, range.from) >= 0 &&
      compareVersions(parsed, range.below) < 0,
  );
  if (version !== '' && known.length > 0) {
    const holes = known.map(({ cve }) => cve).join(', ');
    warnings.push(
      `${product} ${version} has published holes (${holes}) unless its packager has mended them; upgrade it`,
    );
  }
  return warnings;
}

/**
 * Why the retention budgets of all queues that a process consumes do not fit together; `undefined` when they do.
 * @param queues - settings by name of queue
 */
export function findBudgetProblem(
  { maxMemoryBytes }: Pick<ServerFacts, 'maxMemoryBytes'>,
  queues: ReadonlyMap<string, Pick<QueueSettings, 'retainSucceededBytes' | 'retainFailedBytes'>>,
): string | undefined {
  const budgets = [...queues.values()].map((each) => each.retainSucceededBytes + each.retainFailedBytes);
  const sum = budgets.reduce((total, budget) => total + budget, 0);
  if (maxMemoryBytes === 0 || sum <= maxMemoryBytes / 2) return undefined;
  const whose = queues.size === 1 ? 'queue' : `${queues.size} queues`;
  return (
    `the retention budgets of ${whose} ${[...queues.keys()].join(', ')} sum to ${sum} bytes, more than half of Redis's ` +
    `maxmemory (${maxMemoryBytes}); lower them or give Redis more memory, or finished runs will keep new ones out`
  );
}

/**
 * Asks the server what it is.
 * @throws ProblemsError BROKER_UNSUITABLE
 */
export async function checkServer(
  connection: Connection,
  description: string,
  warn: (message: string) => void,
): Promise<ServerFacts> {
  const facts = parseInfo(await readInfo(connection));
  const problems = findProblems(facts);
  if (problems.length > 0)
    throw new ProblemsError('BROKER_UNSUITABLE', `the server ${description} cannot be used:`, problems);
  for (const warning of findWarnings(facts)) warn(warning);
  return facts;
}

async function readInfo(connection: Connection): Promise<string> {
  try {
    return await connection.call('read INFO', (client) => client.info());
  } catch (error) {
    // A user without the right to INFO may well have those that a queue needs.
    if (error instanceof TidemillError && error.code === 'BROKER_REFUSED') return '';
    throw error;
  }
}

function parseVersion(version: string): readonly number[] {
  return version.split('.').map((part) => Number.parseInt(part, 10) || 0);
}

function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < 3; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
