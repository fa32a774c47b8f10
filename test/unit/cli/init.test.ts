import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseManifests } from '../../../src/resource/manifest.ts';
import { tidemill } from '../../support/fake-io.ts';

function folder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'tidemill-init-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

describe('tidemill init', () => {
  test('writes a project whose manifest is valid and whose package names itself', async () => {
    using where = folder();
    const { code, stdout } = await tidemill(['init', 'My Worker!', '--json'], { cwd: where.path });
    assert.equal(code, 0);
    const { files } = JSON.parse(stdout) as { files: string[] };
    assert.deepEqual(files.toSorted(), [
      '.dockerignore',
      '.gitignore',
      'Dockerfile',
      'README.md',
      'package.json',
      'schedules/hello.yaml',
      'src/tasks.ts',
      'tsconfig.json',
    ]);
    const root = join(where.path, 'My Worker!');
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string };
    assert.equal(manifest.name, 'my-worker');
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    assert.match(scripts['scheduler'] ?? '', /--http-port 9465$/, 'the consumer has 9464');
    const { objects, problems } = parseManifests(
      readFileSync(join(root, 'schedules/hello.yaml'), 'utf8'),
      'hello.yaml',
    );
    assert.deepEqual(problems, []);
    assert.equal(objects[0]?.spec.task, 'hello');
  });

  test('a fresh repository is empty enough, and its .gitignore stays', async () => {
    using where = folder();
    mkdirSync(join(where.path, '.git'));
    writeFileSync(join(where.path, '.gitignore'), 'mine\n');
    assert.equal((await tidemill(['init'], { cwd: where.path })).code, 0);
    assert.equal(readFileSync(join(where.path, '.gitignore'), 'utf8'), 'mine\n');
  });

  test('what is no folder is refused in a sentence, with nothing written', async () => {
    using where = folder();
    writeFileSync(join(where.path, 'taken'), 'x');
    for (const target of ['taken', 'taken/inside']) {
      const { code, stderr } = await tidemill(['init', target], { cwd: where.path });
      assert.equal(code, 2);
      assert.match(stderr, /taken.* cannot be made a project: .*ENOTDIR/);
      assert.doesNotMatch(stderr, /defect/);
    }
    assert.equal(readFileSync(join(where.path, 'taken'), 'utf8'), 'x');
  });

  test('a folder with something in it is left alone', async () => {
    using where = folder();
    writeFileSync(join(where.path, 'precious.txt'), 'x');
    const { code, stderr } = await tidemill(['init'], { cwd: where.path });
    assert.equal(code, 2);
    assert.match(stderr, /is not empty \(it holds precious\.txt\)/);
    assert.deepEqual(readdirSync(where.path), ['precious.txt']);
  });
});
