/** What is refused and what is warned of, by what a server says of itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_QUEUE_SETTINGS } from '../../../../src/broker/broker.ts';
import {
  findBudgetProblem,
  findProblems,
  findWarnings,
  parseInfo,
} from '../../../../src/broker/redis/suitability.ts';

const info = (fields: Record<string, string>): string =>
  ['# Server', ...Object.entries(fields).map(([name, value]) => `${name}:${value}`)].join('\r\n');

test('Redis before 7.0 and Valkey before 7.2 are refused', () => {
  const problemsOf = (fields: Record<string, string>) =>
    findProblems(parseInfo(info({ maxmemory_policy: 'noeviction', ...fields }))).map(({ at }) => at);
  assert.deepEqual(problemsOf({ redis_version: '6.2.14' }), ['version']);
  assert.deepEqual(problemsOf({ redis_version: '7.0.0' }), []);
  assert.deepEqual(problemsOf({ redis_version: '7.2.4', valkey_version: '7.1.9' }), ['version']);
  assert.deepEqual(problemsOf({ redis_version: '7.2.4', valkey_version: '9.1.2' }), []);
  assert.deepEqual(problemsOf({ redis_version: '10.0.0', maxmemory_policy: 'volatile-ttl' }), [
    'maxmemory-policy',
  ]);
});

test('a version with a published hole is warned of, a mended one is not', () => {
  const warningsOf = (version: string) =>
    findWarnings(parseInfo(info({ redis_version: version, maxmemory_policy: 'noeviction' })));
  assert.match(warningsOf('7.4.5').join(), /CVE-2025-49844/);
  assert.match(warningsOf('8.2.2').join(), /CVE-2025-62507/);
  assert.deepEqual(warningsOf('8.8.0'), []);
});

test('a server that says nothing is warned of, not refused', () => {
  assert.deepEqual(findProblems(parseInfo('')), []);
  assert.match(findWarnings(parseInfo('')).join(), /may not read INFO/);
});

test('budgets must fit into half of maxmemory, where there is one', () => {
  const budget = DEFAULT_QUEUE_SETTINGS.retainSucceededBytes + DEFAULT_QUEUE_SETTINGS.retainFailedBytes;
  const one = new Map([['work', DEFAULT_QUEUE_SETTINGS]]);
  assert.equal(findBudgetProblem({ maxMemoryBytes: 0 }, one), undefined);
  assert.equal(findBudgetProblem({ maxMemoryBytes: 2 * budget }, one), undefined);
  assert.match(
    findBudgetProblem({ maxMemoryBytes: 2 * budget - 2 }, one) ?? '',
    /queue work .*more than half/,
  );
});

test('budgets of several queues must fit together, and the queues are named', () => {
  const budget = DEFAULT_QUEUE_SETTINGS.retainSucceededBytes + DEFAULT_QUEUE_SETTINGS.retainFailedBytes;
  const two = new Map([
    ['work', DEFAULT_QUEUE_SETTINGS],
    ['mail', DEFAULT_QUEUE_SETTINGS],
  ]);
  assert.equal(findBudgetProblem({ maxMemoryBytes: 4 * budget }, two), undefined);
  assert.match(
    findBudgetProblem({ maxMemoryBytes: 4 * budget - 2 }, two) ?? '',
    /2 queues work, mail sum to/,
  );
});
