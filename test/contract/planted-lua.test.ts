/** A comparison that finds nothing shows nothing, unless it finds what is wrong: each bug in the scripts must be noticed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { PLANTED_SCRIPTS, withBug } from './planted-lua.ts';

const MAIN = join(import.meta.dirname, 'model-main.ts');
const STEPS = 6_000;
/** The same plans each time: whether they find it is no matter of luck. */
const SEED = 7;

const run = promisify(execFile);

/** In a process of its own, whose scripts lack that rule. */
async function compareWith(name: string): Promise<{ readonly code: unknown; readonly output: string }> {
  const options = { steps: STEPS, most: 60, seed: SEED, server: 'redis', plant: name };
  try {
    const args = Object.entries(options).flatMap(([option, value]) => [`--${option}`, String(value)]);
    return { code: 0, output: (await run(process.execPath, [MAIN, '--whole', ...args])).stdout };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'stdout' in error && 'stderr' in error)) throw error;
    return { code: error.code, output: `${String(error.stdout)}${String(error.stderr)}` };
  }
}

describe('the model notices each rule of the scripts that is switched off', { concurrency: 2 }, () => {
  for (const bug of PLANTED_SCRIPTS) {
    test(`it notices that ${bug.what}`, async () => {
      const { code, output } = await compareWith(bug.name);
      assert.equal(code, 1, output);
      assert.match(output, /the brokers differ/);
    });
  }

  test('a rule that does not stand where it is looked for is said to', () => {
    const [first] = PLANTED_SCRIPTS;
    assert.ok(first);
    assert.throws(() => withBug('another text', first), /holds 0 times/);
  });
});
