/** Records as somebody may have written them into Redis, and the params in them. */
import assert from 'node:assert/strict';
import { decodeLastRun, decodeRecord } from '../../src/broker/redis/record.ts';
import { isParamsText } from '../../src/task/params.ts';
import { PRIORITIES, RUN_STATES } from '../../src/task/run.ts';
import type { RandomSource } from '../support/random.ts';
import { oneOf, some, spoil } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

const json = (random: RandomSource, depth = 0): string =>
  oneOf(
    random,
    ...['1', '"a"', 'null', 'true', '[]', '{}', '-0', '1e308'],
    () => (depth > 6 ? '0' : `[${some(random, 0, 3, () => json(random, depth + 1)).join(',')}]`),
    () =>
      depth > 6
        ? '""'
        : `{${some(random, 0, 3, () => `"${oneOf(random, 'a', 'n', 'url', '__proto__', 'constructor')}":${json(random, depth + 1)}`).join(',')}}`,
  );

const OPTIONS: readonly string[] = [
  '{"source":"api"}',
  '{"source":"task","parentId":"a","rootId":"b"}',
  '{"source":"schedule","timeoutMs":5,"schedule":{"uid":"u","namespace":"n","name":"s","slotMs":5}}',
  '{"source":"cli","retry":{"attempts":3,"backoffMs":10,"maxBackoffMs":100}}',
];
const OUTCOMES = ['', '1', '{"reason":"Error","name":"Error","message":"no"}', '"stopped"'];

function record(random: RandomSource): string {
  const time = (): string => oneOf(random, '', String(random.between({ min: 0, max: 2_000_000_000 })));
  const head = [
    oneOf(random, 'p', 'd', 'r', 's', 'f', 'c', 'x'),
    String(random.between({ min: 0, max: 5 })),
    ...['0', oneOf(random, '0', '1'), '1764000000000', time(), time(), time(), time()],
    oneOf(random, '', '0123456789abcdef01234567'),
  ].join(';');
  const identity = [
    `${oneOf(random, 'h', 'm', 'l', 's')}:${oneOf(random, 'job', 'fetch-data', 'a.b')}`,
    ...[oneOf(random, '', 'uid'), oneOf(random, '', '1764000000000')],
  ].join(';');
  const params = oneOf(random, '{}', '{"n":1}', () => json(random));
  return [head, oneOf(random, ...OUTCOMES), identity, oneOf(random, ...OPTIONS), params].join('\n');
}

export const queueEntryTarget: FuzzTarget = {
  name: 'queue-entry',
  draw: (random) => spoil(record(random), random),
  check: (input) => {
    decodeLastRun(input);
    const decoded = decodeRecord('default', 'id', input);
    if (decoded === undefined) return false;
    const { record: run } = decoded;
    assert.ok(PRIORITIES.includes(run.priority) && RUN_STATES.includes(run.state));
    for (const value of [
      run.attempt,
      run.deaths,
      run.enqueuedAtMs,
      run.dueAtMs,
      run.expiresAtMs,
      run.startedAtMs,
    ])
      assert.ok(value === undefined || (Number.isSafeInteger(value) && value >= 0), `a number of ${value}`);
    assert.ok(input.endsWith(run.params));
    if (isParamsText(run.params)) JSON.parse(run.params);
    return true;
  },
};
