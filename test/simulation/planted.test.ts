/** A simulation that finds nothing shows nothing, unless it finds what is wrong: each rule that is switched off must be missed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { sourceWith } from './plant.ts';
import { PLANTED } from './planted.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
/** As many as the simulation draws in CI. */
const SEEDS = 200;

const run = promisify(execFile);

/** In a process of its own, which loads the source with that rule missing. */
async function simulateWith(name: string): Promise<{ readonly code: unknown; readonly output: string }> {
  try {
    const args = [MAIN, '--seeds', String(SEEDS), '--plant', name];
    return { code: 0, output: (await run(process.execPath, args)).stdout };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'stdout' in error && 'stderr' in error)) throw error;
    return { code: error.code, output: `${String(error.stdout)}${String(error.stderr)}` };
  }
}

describe('the simulation misses each rule that is switched off', { concurrency: 2 }, () => {
  for (const bug of PLANTED) {
    test(`it finds that ${bug.what}`, async (t) => {
      const { code, output } = await simulateWith(bug.name);
      assert.equal(code, 1, output);
      assert.match(output, /a promise was broken/);
      assert.match(output, new RegExp(`^again: npm run simulate -- --seed \\d+ --plant ${bug.name}$`, 'm'));
      t.diagnostic(output.split('\n')[0] ?? '');
    });
  }

  test('a rule that does not stand where it is looked for is said to, rather than found', () => {
    const [first] = PLANTED;
    assert.ok(first);
    assert.throws(() => sourceWith({ ...first, rule: 'nowhere to be found' }), /holds 0 times/);
    assert.notEqual(sourceWith(first), sourceWith({ ...first, instead: first.rule }));
  });
});
