/** The example worker as its image has it, with what was built, and children that may only read what they load. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client.ts';
import { RedisServer } from '../support/redis-server.ts';
import { TidemillProcess } from '../support/tidemill-process.ts';

const ROOT = join(import.meta.dirname, '../..');

/** `/app` of the image. Packages that only the consumer loads are links to what is installed here. */
function layOut(app: string): void {
  cpSync(join(ROOT, 'examples/worker/src'), join(app, 'src'), { recursive: true });
  writeFileSync(join(app, 'package.json'), '{ "private": true, "type": "module" }');
  const packages = join(app, 'node_modules');
  mkdirSync(packages);
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((found) => !found.startsWith('.'))) {
    if (!['zod', 'tidemill'].includes(name))
      symlinkSync(join(ROOT, 'node_modules', name), join(packages, name));
  }
  cpSync(join(ROOT, 'node_modules/zod'), join(packages, 'zod'), { recursive: true });
  for (const name of ['bin', 'dist', 'package.json'])
    cpSync(join(ROOT, name), join(packages, 'tidemill', name), { recursive: true });
  writeFileSync(
    join(app, 'src/curious.ts'),
    `import { readFileSync } from 'node:fs';
     import { defineTask } from 'tidemill';
     export const curious = defineTask({ name: 'curious', cpuBound: true, run: () => readFileSync('/etc/passwd', 'utf8') });`,
  );
}

test(
  'the CPU-bound task of the example runs in a restricted child, and one that looks around fails with the setting to change',
  { timeout: 90_000 },
  async () => {
    const app = mkdtempSync(join(tmpdir(), 'tidemill-app-'));
    try {
      layOut(app);
      await using redis = await RedisServer.start();
      const tasks = ['tasks.ts', 'curious.ts'].map((name) => join(app, 'src', name)).join(',');
      const args = ['consumer', '--tasks', tasks, '--child-restricted', 'true', '--cpu-concurrency', '1'];
      await using consumer = new TidemillProcess(
        args,
        { TIDEMILL_REDIS_URL: redis.url, TIDEMILL_HTTP_PORT: '0' },
        join(app, 'node_modules/tidemill/bin/tidemill.js'),
      );
      await consumer.line(/"msg":"consumer started"/);
      await using client = await connect(redis.url);
      assert.deepEqual(await client.enqueueAndWait('count-primes', { below: 1_000 }, { timeout: '30s' }), {
        count: 168,
      });
      await assert.rejects(
        client.enqueueAndWait('curious', undefined, { timeout: '30s' }),
        /this process may not read "\/etc\/passwd"; --child-read allows it/,
      );
    } finally {
      rmSync(app, { recursive: true, force: true });
    }
  },
);
