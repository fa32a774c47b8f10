import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type JsonRules, parseJsonSafely, toJsonText } from '../../../src/task/json.ts';

const STRICT: JsonRules = { maxBytes: 256 * 1024, refuseReservedKeys: true, refuseInexact: true };
const LENIENT: JsonRules = { maxBytes: 256 * 1024, refuseReservedKeys: false, refuseInexact: false };

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('parseJsonSafely', () => {
  const texts: readonly (readonly [title: string, text: string, problem: string | undefined])[] = [
    ['100 levels', nested(100), undefined],
    ['101 levels', nested(101), `${'[0]'.repeat(40)}…`],
    ['a number that is too large for one', '{"a":[0,1e999]}', 'a[1]'],
    ['a whole number that has lost digits', '{"a":9007199254740993}', 'a'],
    ['a large number that nobody takes for exact', '{"a":1e300,"b":0.5,"c":-0}', undefined],
    ['a reserved key inside an array', '[{"a":[{"__proto__":1}]}]', '[0].a[0].__proto__'],
  ];
  for (const [title, text, at] of texts) {
    test(`${at === undefined ? 'takes' : 'refuses'} ${title}`, () => {
      const parsed = parseJsonSafely(text, STRICT);
      assert.equal(parsed.ok ? undefined : parsed.problem.path, at);
      if (parsed.ok) assert.deepEqual(parsed.value, JSON.parse(text));
    });
  }

  test('refuses of any text the same as the writing side refuses of its value, with the same words', () => {
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, 'text', 0, -1.5, 2 ** 53, 1e21),
        fc.array(tie('node'), { maxLength: 3 }),
        fc
          .array(fc.tuple(fc.constantFrom('a', 'b c', '__proto__', 'constructor', 'toJSON'), tie('node')), {
            maxLength: 3,
          })
          .map((entries) => Object.fromEntries(entries)),
      ),
    })).node;
    fc.assert(
      fc.property(value, fc.constantFrom(STRICT, LENIENT), (made, rules) => {
        const text = JSON.stringify(made);
        const parsed = parseJsonSafely(text, rules);
        const written = toJsonText(JSON.parse(text), rules);
        assert.equal(parsed.ok, written.ok);
        if (!parsed.ok && !written.ok && written.kind === 'invalid') {
          assert.deepEqual(parsed.problem, written.problem);
        }
      }),
    );
  });
});
