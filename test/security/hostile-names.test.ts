/** Names from outside, by the hundred thousand: the metrics stay as many, each log record stays one line, prototypes stay whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstLabels, knownLabels, OTHER } from '../../src/telemetry/labels.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { consumerMetrics } from '../../src/telemetry/consumer-metrics.ts';
import { RandomSource, seedFromEnvironment } from '../support/random.ts';

const NAMES = 100_000;
const PARTS = [
  ...[
    'a',
    'task',
    '"',
    '\\',
    '\n',
    '\r\n',
    '{',
    '}',
    '=',
    ',',
    ' ',
    '\0',
    '\x1b[31m',
    '\u009b',
    '\u2028',
    '\u202e',
  ],
  ...['__proto__', 'constructor', '{"level":"error"}', 'é', '\ud800', '# HELP', '</script>', '${x}'],
];

function* hostileNames(seed: number): Generator<string> {
  const random = new RandomSource(seed);
  for (let at = 0; at < NAMES; at += 1) {
    const parts = Array.from({ length: 4 }, () => random.pick(PARTS) ?? '');
    yield `${parts.join('')}${at}`;
  }
}

test(`${NAMES} hostile names of queues do not add series without end, and the text stays readable`, async () => {
  const metrics = new Metrics();
  const observer = consumerMetrics({ metrics, tasks: ['known'], queues: ['default'] });
  for (const name of hostileNames(seedFromEnvironment())) {
    observer.deadLettered({ queue: name, task: name });
    observer.recovered({ queue: name, returned: 1 });
  }
  const text = await metrics.render();
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.ok(series.length < 3_000, `${series.length} series`);
  for (const line of series) assert.match(line, /^[a-z0-9_]+(\{.*\})? \S+$/s);
});

test(`a label takes its known values or its first few, whatever ${NAMES} others come`, () => {
  const known = knownLabels(['a', 'b']);
  const first = firstLabels(10);
  const seen = new Set<string>();
  for (const name of hostileNames(seedFromEnvironment())) {
    assert.equal(known(name), OTHER);
    seen.add(first(name));
  }
  assert.equal(seen.size, 11);
  assert.equal(known('a'), 'a');
});

test('a record with any name in its message, fields and keys is one line of JSON that no terminal obeys', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', destination: { write: (line) => lines.push(line) } });
  let written = 0;
  for (const name of hostileNames(seedFromEnvironment())) {
    if (written === 10_000) break;
    written += 1;
    log.info(name, { task: name, [name]: name });
  }
  assert.equal(lines.length, written);
  for (const line of lines) {
    assert.equal(line.indexOf('\n'), line.length - 1);
    assert.doesNotMatch(line.trimEnd(), /[\p{Cc}\u2028\u202e]/u);
    const parsed: unknown = JSON.parse(line);
    assert.ok(typeof parsed === 'object' && parsed !== null && 'level' in parsed && parsed.level === 'info');
  }
  assert.equal(Reflect.get({}, 'polluted'), undefined);
});
