/** A tasks module and its child processes load the authoring entry: what it pulls in, every process pays for. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const SOURCE = join(import.meta.dirname, '../../../src');

/** Every module that a fresh process loads for one entry point. */
async function modulesOf(entry: string): Promise<readonly string[]> {
  const script = `
    import { registerHooks } from 'node:module';
    const seen = new Set();
    registerHooks({ load: (url, context, next) => { seen.add(url); return next(url, context); } });
    await import(${JSON.stringify(pathToFileURL(join(SOURCE, entry)).href)});
    process.stdout.write(JSON.stringify([...seen]));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return JSON.parse(stdout) as string[];
}

describe('what an entry point loads', () => {
  test('is seen down to the built-in modules', async () => {
    const modules = await modulesOf('task/invoke.ts');
    assert.ok(modules.includes('node:crypto'));
    assert.ok(modules.some((url) => url.includes('/node_modules/zod/')));
  });

  for (const entry of ['index.ts', 'task/load.ts', 'task/invoke.ts']) {
    test(`${entry} loads no Redis client, no metrics, no logger and starts no process`, async () => {
      const modules = await modulesOf(entry);
      assert.ok(modules.some((url) => url.endsWith(entry)));
      const unwanted = modules.filter(
        (url) =>
          /node_modules\/(ioredis|prom-client|pino|yaml|commander)\/|node:(child_process|net|http|worker_threads)/.test(
            url,
          ) ||
          url.includes('/src/broker/') ||
          url.includes('/src/consumer/'),
      );
      assert.deepEqual(unwanted, []);
    });
  }
});
