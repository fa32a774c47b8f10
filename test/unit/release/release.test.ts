/** What a release is checked for before it is cut: one version everywhere, and licences that may be shipped. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { judge, type Lockfile } from '../../../.ci/check-licences.ts';
import { differing, notesOf, PLACES } from '../../../.ci/check-release.ts';
import { projectFiles } from '../../../src/cli/project-template.ts';
import { BUILD, VERSION, VERSION_LINE } from '../../../src/cli/version.ts';

const ROOT = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('the version', () => {
  test('is the same in the package, the image, the example and the charts', () => {
    assert.deepEqual(differing(VERSION, read), []);
  });

  test('that differs somewhere is noticed, by the name of the file', () => {
    const changed = (path: string): string =>
      path === 'Dockerfile' ? 'ARG TIDEMILL_VERSION=9.9.9' : read(path);
    assert.deepEqual(differing(VERSION, changed), [`Dockerfile names 9.9.9, expected ${VERSION}`]);
    assert.equal(differing('8.8.8', read).length, Object.keys(PLACES).length);
  });

  test('has the notes of its own section of the changelog, and of no other', () => {
    const changelog =
      '# C\n\n## [Unreleased]\n\n- u\n\n## [0.2.0] - 2026-12-01\n\n- b\n\n## [0.1.0] - 2026-11-01\n\n- a\n';
    assert.equal(notesOf('0.2.0', changelog), '- b');
    assert.equal(notesOf('0.1.0', changelog), '- a');
    assert.equal(notesOf('0.3.0', changelog), undefined);
  });

  test('is printed with the commit in seven digits, and with Node', () => {
    assert.match(BUILD.commit, /^([0-9a-f]{7}(-dirty)?|unknown)$/);
    assert.equal(VERSION_LINE, `${VERSION} (commit ${BUILD.commit}, Node ${process.versions.node})`);
  });

  test('is that of the image in the Dockerfile of a new project, which is that of the example', () => {
    assert.equal(projectFiles('x', VERSION)['Dockerfile'], read('examples/worker/Dockerfile'));
  });
});

describe('licences', () => {
  const lock = (packages: Lockfile['packages']): Lockfile => ({ packages });

  test('of what is shipped are on the list', () => {
    const { refused, shipped } = judge(JSON.parse(read('package-lock.json')) as Lockfile);
    assert.deepEqual(refused, []);
    assert.ok(shipped > 50);
  });

  test('that are not on the list, or are not stated, are refused', () => {
    const { refused } = judge(
      lock({
        'node_modules/a': { version: '1.0.0', license: 'MIT' },
        'node_modules/a/node_modules/b': { version: '2.0.0', license: 'AGPL-3.0' },
        'node_modules/c': { version: '3.0.0' },
      }),
    );
    assert.deepEqual(refused, ['b 2.0.0: AGPL-3.0', 'c 3.0.0: no licence']);
  });

  test('of development packages do not matter, except that of zod, which is in the image', () => {
    const packages = {
      'node_modules/tool': { version: '1.0.0', license: 'GPL-3.0', dev: true },
      'node_modules/zod': { version: '4.0.0', license: 'GPL-3.0', dev: true },
    };
    assert.deepEqual(judge(lock(packages)).refused, ['zod 4.0.0: GPL-3.0']);
  });
});
