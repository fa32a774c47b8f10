/** Records as text: what the client writes and a script heads, the client reads back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeReason, encodeReason } from '../../../../src/broker/redis/reason-text.ts';
import {
  decodeLastRun,
  decodeRecord,
  encodePreamble,
  encodeError,
  onOneLine,
} from '../../../../src/broker/redis/record.ts';
import type { RunRequest } from '../../../../src/task/request.ts';
import { FAILURE_REASONS, PRIORITIES, RUN_SOURCES } from '../../../../src/task/run.ts';

const requests: fc.Arbitrary<RunRequest> = fc.record(
  {
    id: fc.stringMatching(/^[!-~]{1,40}$/),
    task: fc.stringMatching(/^[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?$/),
    priority: fc.constantFrom(...PRIORITIES),
    params: fc.oneof(fc.json(), fc.string({ unit: 'binary' })),
    options: fc.record(
      {
        source: fc.constantFrom(...RUN_SOURCES),
        timeoutMs: fc.nat(),
        parentId: fc.string(),
        rootId: fc.string({ unit: 'binary' }),
        retry: fc.record(
          { attempts: fc.nat(), backoffMs: fc.nat() },
          { requiredKeys: [], noNullPrototype: true },
        ),
        schedule: fc.record(
          { uid: fc.string(), namespace: fc.string(), name: fc.string(), slotMs: fc.nat() },
          { requiredKeys: ['uid', 'namespace', 'name'], noNullPrototype: true },
        ),
      },
      { requiredKeys: ['source'], noNullPrototype: true },
    ),
  },
  { noNullPrototype: true },
);

describe('record', () => {
  test('whatever was requested is read back as it was, params and options to the last character', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const decoded = decodeRecord(
          'default',
          request.id,
          `p;0;0;0;1764000000000;;;;;\n\n${encodePreamble(request)}${request.params}`,
        );
        assert.ok(decoded !== undefined);
        const { id, task, priority, params, options } = decoded.record;
        assert.deepEqual({ id, task, priority, params, options }, request);
      }),
    );
  });

  test('runs that share their options have a preamble each by task and priority, also after another one', () => {
    const options = Object.freeze({ source: 'api' as const });
    const preamble = (id: string, task: string, priority: 'high' | 'low'): string =>
      encodePreamble({ id, task, priority, params: '{}', options });
    assert.equal(preamble('a', 'job', 'high'), 'h:job;;\n{"source":"api"}\n');
    assert.equal(preamble('b', 'job', 'low'), 'l:job;;\n{"source":"api"}\n');
    assert.equal(preamble('c', 'other', 'low'), 'l:other;;\n{"source":"api"}\n');
    assert.equal(preamble('c', 'other', 'low'), 'l:other;;\n{"source":"api"}\n');
  });

  test('each state shows its instants, its holder and its outcome', () => {
    const body = 'h:job;;\n{"source":"api"}\n{}';
    const error = { reason: FAILURE_REASONS[0], name: 'E', message: 'line\nbreak; and more' } as const;
    const read = (head: string, outcome: string) =>
      decodeRecord('q', 'id', `${head}\n${outcome}\n${body}`)?.record;
    assert.deepEqual(read('r;2;1;1;10;20;30;40;;abc', encodeError(error)), {
      ...{
        id: 'id',
        queue: 'q',
        task: 'job',
        priority: 'high',
        state: 'running',
        params: '{}',
        options: { source: 'api' },
      },
      ...{
        attempt: 2,
        deaths: 1,
        enqueuedAtMs: 10,
        dueAtMs: 20,
        expiresAtMs: 30,
        startedAtMs: 40,
        incarnation: 'abc',
        error,
      },
    });
    assert.equal(read('s;1;0;0;10;;;40;50;abc', '{"a":1}')?.result, '{"a":1}');
    assert.equal(read('c;0;0;0;10;;;;50;', encodeReason('why\nnot'))?.cancelReason, 'why\nnot');
    assert.equal(read('x;0;0;0;10;;;;50;', '')?.endedAtMs, 50);
  });

  test('a text that is no record of this format is told apart, not guessed at', () => {
    const good = 'p;0;0;0;1;;;;;\n\nm:job;;\n{"source":"api"}\n{}';
    assert.ok(decodeRecord('q', 'id', good));
    const broken = [
      '',
      'garbage',
      good.replace('p;', 'z;'),
      good.replace('m:job', 'job'),
      good.replace('p;0;', `p;${'9'.repeat(10)};`),
      good.replace(';1;', `;${'9'.repeat(16)};`),
      'a\nb\nc\nd',
    ];
    assert.deepEqual(
      broken.filter((text) => decodeRecord('q', 'id', text) !== undefined),
      [],
    );
  });

  test('a record whose options cannot be read can be shown, and says that its source is unknown', () => {
    const good = 'p;0;0;0;1;;;;;\n\nm:job;;\n{"source":"api"}\n{}';
    const damaged = [
      good.replace('"api"', '"nobody"'),
      good.replace('{"source', '{source'),
      good.slice(0, -4),
    ];
    for (const text of damaged) {
      assert.equal(decodeRecord('q', 'id', text)?.record.options.source, 'unknown', text);
    }
  });

  test('JSON is put on one line without changing what it says', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) =>
        assert.deepEqual(
          JSON.parse(onOneLine(JSON.stringify(value, null, 2))),
          JSON.parse(JSON.stringify(value)),
        ),
      ),
    );
    assert.equal(decodeReason('not json'), 'not json');
  });

  test('the last run of a schedule is read from its hash', () => {
    const text = `uid@1\nf;3;0;0;10;;;40;50;abc\n${encodeError({ reason: 'Timeout', name: 'T', message: 'm' })}\n1000`;
    assert.deepEqual(decodeLastRun(text), {
      ...{ id: 'uid@1', state: 'failed', endedAtMs: 50, attempt: 3, slotMs: 1000, startedAtMs: 40 },
      error: { reason: 'Timeout', name: 'T', message: 'm' },
    });
    assert.equal(decodeLastRun('id\np;0;0;0;1;;;;;\n\n'), undefined);
  });
});
