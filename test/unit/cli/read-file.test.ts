/** Files that settings name: read whole, or refused with a reason, and never read for ever. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readBoundedFile } from '../../../src/cli/io.ts';
import { tidemill } from '../../support/fake-io.ts';

describe('a file that a setting names', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-files-'));
  });
  after(() => rm(folder, { recursive: true }));

  test('is read whole, also through a link and from a pipe', async () => {
    const text = `${'ä'.repeat(100_000)}\n`;
    await writeFile(join(folder, 'file'), text);
    await symlink(join(folder, 'file'), join(folder, 'link'));
    assert.equal(readBoundedFile(join(folder, 'link')), text);
    const script = `import { readBoundedFile } from ${JSON.stringify(new URL('../../../src/cli/io.ts', import.meta.url).href)}; process.stdout.write(readBoundedFile(process.argv[1]));`;
    const read = execFileSync(
      'bash',
      ['-c', '"$0" --input-type=module -e "$1" <(printf redis://here)', process.execPath, script],
      { encoding: 'utf8', timeout: 30_000 },
    );
    assert.equal(read, 'redis://here');
  });

  const refused: readonly (readonly [name: string, path: () => string, message: RegExp])[] = [
    ['a device that has no end', () => '/dev/full', /it is a device or socket, and not a file/],
    ['a folder', () => folder, /it is a folder, and not a file/],
    ['a file that is not there', () => join(folder, 'nothing'), /ENOENT/],
  ];
  for (const [name, path, message] of refused) {
    test(`is refused when it is ${name}`, () => {
      assert.throws(() => readBoundedFile(path()), { message });
    });
  }

  test('is refused when it is larger than 1 MiB, and read when it is just as large', async () => {
    const path = join(folder, 'large');
    await writeFile(path, 'x'.repeat(1_024 ** 2));
    assert.equal(readBoundedFile(path).length, 1_024 ** 2);
    await writeFile(path, 'x'.repeat(1_024 ** 2 + 1));
    assert.throws(() => readBoundedFile(path), { message: 'it holds more than 1 MiB' });
  });

  test('ends the command with a message that names the variable', async () => {
    const { code, stderr } = await tidemill(['queues', 'ls'], {
      environment: { TIDEMILL_REDIS_URL_FILE: '/dev/full' },
      readFile: readBoundedFile,
    });
    assert.equal(code, 78);
    assert.match(stderr, /TIDEMILL_REDIS_URL_FILE: the file "\/dev\/full" cannot be read: it is a device/);
  });
});
