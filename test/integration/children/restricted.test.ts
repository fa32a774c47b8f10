/** Children that may only read what they load: what they are refused, how that is said, and what opens it. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ChildPermissions } from '../../../src/consumer/children/permissions.ts';
import { FIXTURES, TestPool } from '../../support/cpu-pool.ts';

const LIMIT = { timeout: 60_000 };
const TASKS = `${FIXTURES}reaches-out.ts`;

let folder: string;
let secret: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemill-restricted-'));
  secret = join(folder, 'secret');
  writeFileSync(secret, 'the secret');
});
after(() => rmSync(folder, { recursive: true, force: true }));

const restricted = (more: Partial<ChildPermissions> = {}): Promise<TestPool> =>
  TestPool.start({ permissions: { read: [], write: [], allow: [], ...more } }, [TASKS]);

async function refusalOf(pool: TestPool, task: string, params: unknown = {}): Promise<string> {
  const result = await pool.run(task, params);
  assert.ok(result.kind === 'failed', `${task} ended as ${result.kind}`);
  return result.error.message;
}

describe('a restricted child', () => {
  let pool: TestPool;
  before(async () => {
    pool = await restricted();
  });
  after(() => pool[Symbol.asyncDispose]());

  test('starts, runs tasks that stay inside, and writes nothing to the log about it', LIMIT, async () => {
    assert.equal(await pool.resultOf('stays'), 'here');
    assert.deepEqual(pool.log.entries, []);
  });

  test('reads beside its tasks module', LIMIT, async () => {
    assert.match(String(await pool.resultOf('reads', { path: `${FIXTURES}zoo.ts` })), /defineTask/);
  });

  test('uses the network: the permissions of Node leave it open', LIMIT, async () => {
    assert.equal(await pool.resultOf('listens'), 'listened');
  });

  test(
    'that reads elsewhere fails its run, which names the file and the setting that opens it',
    LIMIT,
    async () => {
      assert.equal(
        await refusalOf(pool, 'reads', { path: secret }),
        `this process may not read "${secret}"; --child-read allows it where --child-restricted does not (ERR_ACCESS_DENIED)`,
      );
    },
  );

  test(
    'whose body wraps the refusal keeps its words, and the setting stands behind them',
    LIMIT,
    async () => {
      assert.match(
        await refusalOf(pool, 'reads-in-its-own-words', { path: secret }),
        /^no price list; this process may not read ".*"; --child-read allows it/,
      );
    },
  );

  test('that is refused where nobody catches fails its run by the same words', LIMIT, async () => {
    assert.match(
      await refusalOf(pool, 'reads-behind-its-back', { path: secret }),
      /^this process may not read ".*"; --child-read allows it/,
    );
  });

  const REFUSED: Readonly<Record<string, RegExp>> = {
    spawns: /^this process may not start a process; --child-allow child-process allows it/,
    'loads-addon': /^this process may not load a native addon; --child-allow addons allows it/,
  };
  for (const [task, message] of Object.entries(REFUSED)) {
    test(`${task} in vain`, LIMIT, async () => {
      assert.match(await refusalOf(pool, task), message);
    });
  }

  test('writes in vain', LIMIT, async () => {
    const path = join(folder, 'out');
    assert.match(
      await refusalOf(pool, 'writes', { path }),
      /^this process may not write ".*\/out"; --child-write allows it/,
    );
    assert.equal(existsSync(path), false);
  });

  test('starts no thread, which would be restricted by nothing', LIMIT, async () => {
    assert.match(
      await refusalOf(pool, 'reads-in-a-thread', { path: secret }),
      /^this process may not start a thread; --child-allow worker allows it/,
    );
  });

  test('is as good for the next run as any other', LIMIT, async () => {
    assert.equal(await pool.resultOf('stays'), 'here');
  });
});

describe('what a restricted child is allowed', () => {
  test('is read and written where it was named, and nowhere beside', LIMIT, async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    await using pool = await restricted({ read: [open], write: [open] });
    const file = join(open, 'file');
    await pool.resultOf('writes', { path: file });
    assert.equal(await pool.resultOf('reads', { path: file }), 'written');
    assert.match(await refusalOf(pool, 'reads', { path: secret }), /may not read/);
    assert.match(await refusalOf(pool, 'writes', { path: `${open}-beside` }), /may not write/);
  });

  test('is a process, where that right was given', LIMIT, async () => {
    await using pool = await restricted({ allow: ['child-process'] });
    assert.equal(await pool.resultOf('spawns'), 'spawned');
    assert.match(await refusalOf(pool, 'reads', { path: secret }), /may not read/);
  });

  test('is a thread, where that right was given, and a thread is not restricted', LIMIT, async () => {
    await using pool = await restricted({ allow: ['worker'] });
    assert.equal(await pool.resultOf('reads-in-a-thread', { path: secret }), 'the secret');
  });
});

describe('a restricted child whose tasks', () => {
  test('lie behind a link reads them where they are', LIMIT, async () => {
    const link = join(folder, 'linked.ts');
    symlinkSync(TASKS, link);
    await using pool = await TestPool.start({ permissions: { read: [], write: [], allow: [] } }, [link]);
    assert.equal(await pool.resultOf('stays'), 'here');
  });

  test('import from outside does not start, and says what it wanted to read', LIMIT, async () => {
    const apart = join(folder, 'apart');
    mkdirSync(apart);
    const tasks = join(apart, 'tasks.ts');
    writeFileSync(join(folder, 'outside.ts'), 'export const outside = 1;');
    writeFileSync(tasks, `import '../outside.ts';\nexport * from ${JSON.stringify(TASKS)};\n`);
    const permissions = { read: [FIXTURES], write: [], allow: [] };
    await using pool = await TestPool.start({ permissions, breaker: { threshold: 1 } }, [tasks]);
    await pool.pool.started();
    const { err } = pool.log.find('child did not start')?.fields ?? {};
    assert.match(String(err), /may not read ".*outside\.ts"; --child-read allows it/);
  });
});
