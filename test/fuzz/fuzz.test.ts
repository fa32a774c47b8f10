/** The short form of `npm run fuzz`, and the proof that it finds what it looks for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seedFromEnvironment } from '../support/random.ts';
import { fuzz, LONGEST_PARSE_MS, reportText } from './fuzz.ts';
import { oneOf, spoil } from './mutate.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS } from './targets.ts';

const INPUTS = 5_000;
/** A manifest costs ten times what the others cost. */
const MANIFESTS = 1_000;

describe('random inputs', () => {
  for (const target of TARGETS) {
    test(`of ${target.name} are each taken or refused with a reason, within ${LONGEST_PARSE_MS} ms, and pollute nothing`, () => {
      const inputs = target.name === 'manifest' ? MANIFESTS : INPUTS;
      const report = fuzz(target, { seed: seedFromEnvironment(), inputs });
      assert.deepEqual(report.findings, [], reportText(report));
      // A fuzzer that is always refused, or never, looks at half of the parser.
      assert.ok(report.taken > inputs / 20 && report.taken < inputs * 0.95, reportText(report));
    });
  }
});

describe('a parser with a planted bug is found out', () => {
  const target = (check: FuzzTarget['check']): FuzzTarget => ({
    name: 'planted',
    draw: (random) => spoil(oneOf(random, '{"a":1}', '[1,2]'), random),
    check,
  });
  const kindsOf = (check: FuzzTarget['check']): readonly string[] =>
    fuzz(target(check), { seed: 1, inputs: INPUTS, mostFindings: 2 }).findings.map(({ kind }) => kind);

  test('that throws an error without a code', () => {
    const kinds = kindsOf((input) => JSON.parse(input) !== undefined);
    assert.deepEqual(new Set(kinds), new Set(['threw']));
  });
  test('that backtracks', () => {
    // Of its own CPU time: on a busy machine the wall clock runs without it.
    const spin = (): void => {
      const before = process.cpuUsage();
      while (process.cpuUsage(before).user < 2_000 * LONGEST_PARSE_MS);
    };
    const kinds = kindsOf((input) => {
      if (input.startsWith('{{')) spin();
      return true;
    });
    assert.deepEqual(new Set(kinds), new Set(['slow']));
  });
  test('that assigns by key', () => {
    const kinds = kindsOf((input) => {
      if (!input.includes('"__proto__"')) return true;
      const parsed: unknown = {};
      Reflect.set(Object(Reflect.get(Object(parsed), '__proto__')), 'polluted', 1);
      return true;
    });
    assert.deepEqual(new Set(kinds), new Set(['polluted']));
  });
  test('and what it found can be had again from seed and index', () => {
    const planted = target((input) => JSON.parse(input) !== undefined);
    const [first] = fuzz(planted, { seed: 7, inputs: INPUTS }).findings;
    assert.ok(first !== undefined);
    const again = fuzz(planted, { seed: 7, inputs: 1, from: first.at });
    assert.equal(again.findings[0]?.input, first.input);
  });
});
