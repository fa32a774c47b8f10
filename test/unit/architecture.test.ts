/** Holds the rooms of `src/` to their import directions: an arrow that is not in the table fails, and so does any cycle. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';

const SRC = resolve(import.meta.dirname, '../../src');

/** Room → rooms that it may import, besides itself and `runtime`. A new arrow needs a line in docs/decisions. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  schedule: [],
  task: ['schedule'],
  resource: ['schedule', 'task'],
  broker: ['task'],
  telemetry: ['task'],
  consumer: ['task', 'broker', 'telemetry'],
  controller: ['schedule', 'task', 'resource', 'broker', 'telemetry'],
  kube: ['resource', 'telemetry'],
  http: ['telemetry'],
};
/** Single files that a room may import beside those rooms. */
const FILE_ARROWS: Readonly<Record<string, readonly string[]>> = {
  broker: ['schedule/reasons.ts'], // the words for decisions are the same in plan(), in the log and in the contract
};
/** Composition roots and entry points: may import any room, and no room imports them. */
const ROOTS = new Set(['cli', 'client', 'testing', 'index.ts', 'client.ts', 'testing.ts']);

/** Module → the only places that may import it. */
const CONFINED: Readonly<Record<string, readonly string[]>> = {
  ioredis: ['broker/redis/'],
  'prom-client': ['telemetry/'],
  pino: ['telemetry/'],
  '@kubernetes/client-node': ['kube/'],
  'node:child_process': ['consumer/children/'],
  commander: ['cli/'],
  yaml: ['resource/', 'cli/'],
};

/** Identifier used as `left.right` → the only places that may use it. */
const CONFINED_GLOBALS = new Map<string, readonly string[]>([
  ['process.env', ['cli/']],
  ['Date.now', ['runtime/clock.ts']],
  ['performance.now', ['runtime/clock.ts']],
  ['process.hrtime', ['runtime/clock.ts']],
  ['setTimeout', ['runtime/clock.ts']],
  ['setInterval', ['runtime/clock.ts']],
]);

interface SourceFile {
  readonly path: string;
  /** What it imports, types included: who needs a type cannot be read without the file that has it. */
  readonly imports: readonly string[];
  readonly globals: readonly string[];
}

function read(path: string): SourceFile {
  const tree = ts.createSourceFile(path, readFileSync(join(SRC, path), 'utf8'), ts.ScriptTarget.ESNext, true);
  const imports: string[] = [];
  const globals: string[] = [];
  const visit = (node: ts.Node): void => {
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      imports.push(node.moduleSpecifier.text);
    }
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const { literal } = node.argument;
      if (ts.isStringLiteral(literal)) imports.push(literal.text);
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      if (argument && ts.isStringLiteral(argument)) imports.push(argument.text);
    }
    if (ts.isPropertyAccessExpression(node)) globals.push(`${node.expression.getText()}.${node.name.text}`);
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) globals.push(node.expression.text);
    if (
      ts.isNewExpression(node) &&
      node.expression.getText() === 'Date' &&
      (node.arguments?.length ?? 0) === 0
    )
      globals.push('Date.now');
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return { path, imports, globals };
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map(read);

const roomOf = (path: string): string => path.split('/')[0] ?? path;
const targetOf = (from: string, specifier: string): string =>
  relative(SRC, resolve(SRC, dirname(from), specifier));
/** `prom-client` of `prom-client/lib/gauge.js`; what has no file behind it stays as it is. */
const packageOf = (specifier: string): string => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
const allowedIn = (path: string, places: readonly string[]): boolean =>
  places.some((place) => path.startsWith(place));

test('every import points in a direction that the table of rooms allows', () => {
  assert.ok(files.length > 50, `expected the whole of src, found ${files.length} files`);
  const wrong: string[] = [];
  for (const file of files) {
    const room = roomOf(file.path);
    for (const target of file.imports) {
      if (!target.startsWith('.')) continue;
      const targetPath = targetOf(file.path, target);
      const targetRoom = roomOf(targetPath);
      if (targetRoom === room || targetRoom === 'runtime' || ROOTS.has(room)) continue;
      const allowed =
        ARROWS[room]?.includes(targetRoom) === true || FILE_ARROWS[room]?.includes(targetPath) === true;
      if (!allowed) wrong.push(`${file.path} → ${targetPath}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every folder of src is a room of the table or a composition root', () => {
  const unknown = [...new Set(files.map((file) => roomOf(file.path)))].filter(
    (room) => !(room in ARROWS) && !ROOTS.has(room),
  );
  assert.deepEqual(unknown, []);
});

test('a library or global that belongs to one room is used nowhere else', () => {
  const wrong: string[] = [];
  for (const file of files) {
    for (const target of file.imports) {
      const places = CONFINED[packageOf(target)];
      if (places !== undefined && !allowedIn(file.path, places)) wrong.push(`${file.path} imports ${target}`);
    }
    for (const name of file.globals) {
      const places = CONFINED_GLOBALS.get(name);
      if (places !== undefined && !allowedIn(file.path, places)) wrong.push(`${file.path} uses ${name}`);
      if (name.startsWith('console.')) wrong.push(`${file.path} uses ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('no import cycle exists, not even of types', () => {
  const edges = new Map(
    files.map((file) => [
      file.path,
      file.imports.filter((target) => target.startsWith('.')).map((target) => targetOf(file.path, target)),
    ]),
  );
  const cycles: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
    if (trail.includes(path) || done.has(path)) return;
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) walk(path, []);
  assert.deepEqual(cycles, []);
});

test('no source file is longer than 350 lines', () => {
  const long = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') || path.endsWith('.lua'))
    .map((path) => ({ path, lines: readFileSync(join(SRC, path), 'utf8').split('\n').length }))
    .filter(({ lines }) => lines > 350);
  assert.deepEqual(long, []);
});
