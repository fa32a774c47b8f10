/** What is installed and shipped, and that no data ever names a module. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import ts from 'typescript';
import { z } from 'zod';
import { judge } from '../../.ci/check-licences.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SRC = join(ROOT, 'src');

const Lockfile = z.looseObject({
  packages: z.record(
    z.string(),
    z.looseObject({
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      link: z.boolean().optional(),
      hasInstallScript: z.boolean().optional(),
    }),
  ),
});
const Manifest = z.looseObject({
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});
const lockfile = Lockfile.parse(JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')));
const manifest = Manifest.parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));

/** Packages that we ship, the peer zod included. The Kubernetes client alone brings more than forty. */
const MOST_SHIPPED = 96;
/** Packages that would run a script when they are installed; we install with scripts off. */
const WITH_SCRIPTS = ['node_modules/esbuild'];

describe('the lockfile', () => {
  const installed = Object.entries(lockfile.packages).filter(
    ([path, { link }]) => path.startsWith('node_modules/') && link !== true,
  );
  test('has a checksum for each package, and names no other place than the npm registry', () => {
    assert.ok(installed.length > 100);
    for (const [path, { resolved, integrity = '' }] of installed) {
      assert.match(integrity, /^sha512-/, path);
      // Without an address npm takes the registry that is configured, and the checksum still has to be right.
      if (resolved !== undefined) assert.match(resolved, /^https:\/\/registry\.npmjs\.org\//, path);
    }
  });
  test('has no package with an install script beyond those that are named here', () => {
    const found = Object.entries(lockfile.packages).filter(
      ([, { hasInstallScript }]) => hasInstallScript === true,
    );
    assert.deepEqual(
      found.map(([path]) => path),
      WITH_SCRIPTS,
    );
  });
  test(`ships at most ${MOST_SHIPPED} packages`, () => {
    const { shipped } = judge(lockfile);
    assert.ok(shipped > 20 && shipped <= MOST_SHIPPED, `${shipped} packages`);
  });
});

test('every dependency is pinned to one version, none is a URL', () => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
});

/** Calls that load or make code out of a value that is not written in the source. */
function loadsOf(path: string): readonly string[] {
  const tree = ts.createSourceFile(path, readFileSync(join(SRC, path), 'utf8'), ts.ScriptTarget.ESNext, true);
  const found: string[] = [];
  const look = (node: ts.Node): void => {
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      const callee = node.expression.getText();
      const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword;
      const isLiteral = node.arguments?.[0] !== undefined && ts.isStringLiteral(node.arguments[0]);
      if (isImport && !isLiteral) found.push(`${path}: ${node.getText()}`);
      if (['require', 'createRequire', 'eval', 'Function'].includes(callee)) found.push(`${path}: ${callee}`);
    }
    if (ts.isImportDeclaration(node) && /^'node:vm'$/.test(node.moduleSpecifier.getText()))
      found.push(`${path}: node:vm`);
    node.forEachChild(look);
  };
  look(tree);
  return found;
}

test("one place imports a module by a value, and that value is the operator's path", () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  assert.ok(files.length > 200);
  assert.deepEqual(files.flatMap(loadsOf), ['task/load.ts: import(pathToFileURL(file).href)']);
});
