/**
 * Compiles the TypeScript of README and guide, and parses their manifests: a sample that does not work is worse than none.
 *
 * Each block is a module. It sees what the blocks before it on its page import and export, as a reader does, and what a
 * prelude of the page declares.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import ts from 'typescript';
import { parseManifests } from '../../src/resource/manifest.ts';
import { type CodeBlock, codeBlocks, pages, readPage, ROOT } from '../support/markdown.ts';

/** Page → module that exports what its samples use and do not show. */
const PRELUDES: Readonly<Record<string, string>> = {
  'docs/guide/tasks.md': 'test/fixtures/docs/guide-tasks.ts',
};
/** Where the modules would lie: `tidemill`, `zod` and the types of Node are found from here. */
const FOLDER = join(ROOT, 'test/unit');

interface Sample {
  readonly path: string;
  readonly page: string;
  readonly text: string;
  /** Of the page, less the lines of the module that stand before: added to a line of the module it gives that of the page. */
  readonly lineOffset: number;
}

/** Name → the import that brings it into a module. */
type Visible = ReadonlyMap<string, string>;

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
}

/** What the imports of a module bring, each name with an import of its own. */
function importsOf(file: ts.SourceFile): Visible {
  const found = new Map<string, string>();
  for (const statement of file.statements) {
    if (!ts.isImportDeclaration(statement)) continue;
    const from = statement.moduleSpecifier.getText();
    const { name, namedBindings } = statement.importClause ?? {};
    if (name !== undefined) found.set(name.text, `import ${name.text} from ${from};`);
    if (namedBindings === undefined) continue;
    if (ts.isNamespaceImport(namedBindings)) {
      found.set(namedBindings.name.text, `import ${namedBindings.getText()} from ${from};`);
    } else {
      for (const element of namedBindings.elements)
        found.set(element.name.text, `import { ${element.getText()} } from ${from};`);
    }
  }
  return found;
}

function namesOf(statement: ts.Statement): readonly string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.flatMap(({ name }) =>
      ts.isIdentifier(name) ? [name.text] : [],
    );
  if (
    (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) &&
    statement.name !== undefined
  )
    return [statement.name.text];
  return [];
}

function exportsOf(file: ts.SourceFile, from: string): Visible {
  const exported = file.statements.filter(
    (statement) =>
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true,
  );
  return new Map(
    exported.flatMap(namesOf).map((name): [string, string] => [name, `import { ${name} } from '${from}';`]),
  );
}

function samplesOf(page: string): readonly Sample[] {
  const preludePath = PRELUDES[page];
  const prelude = preludePath === undefined ? undefined : join(ROOT, preludePath);
  let visible: Visible =
    prelude === undefined ? new Map() : exportsOf(parse(prelude, readFileSync(prelude, 'utf8')), prelude);
  return codeBlocks(readPage(page))
    .filter(({ language }) => language === 'ts')
    .map((block: CodeBlock, index) => {
      const path = join(FOLDER, `${page.replace(/\W+/g, '-')}-${index + 1}.ts`);
      const file = parse(path, block.text);
      const own = new Set([...importsOf(file).keys(), ...file.statements.flatMap(namesOf)]);
      const header = [...visible].flatMap(([name, line]) => (own.has(name) ? [] : [line]));
      visible = new Map([...visible, ...importsOf(file), ...exportsOf(file, path)]);
      const text = [...header, block.text, 'export {};\n'].join('\n');
      return { path, page, text, lineOffset: block.line - header.length };
    });
}

/** What the compiler says, as `page:line: message`. */
function compile(samples: readonly Sample[]): readonly string[] {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  // A sample shows what there is; it need not use it.
  const relaxed = { ...options, noUnusedLocals: false, noUnusedParameters: false };
  const byPath = new Map(samples.map((sample) => [sample.path, sample]));
  const host = ts.createCompilerHost(relaxed);
  const program = ts.createProgram([...byPath.keys()], relaxed, {
    ...host,
    fileExists: (path) => byPath.has(path) || host.fileExists(path),
    readFile: (path) => byPath.get(path)?.text ?? host.readFile(path),
    getSourceFile: (path, ...rest) => {
      const sample = byPath.get(path);
      return sample === undefined ? host.getSourceFile(path, ...rest) : parse(path, sample.text);
    },
  });
  return samples.flatMap((sample) => {
    const file = program.getSourceFile(sample.path);
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    return found.map(({ start = 0, messageText }) => {
      const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) + sample.lineOffset;
      return `${sample.page}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
  });
}

function find(samples: readonly Sample[], text: string): Sample {
  const found = samples.find((sample) => sample.text.includes(text));
  assert.ok(found !== undefined, `no sample has ${text}`);
  return found;
}

const GUIDE = pages().filter((page) => page === 'README.md' || page.startsWith('docs/guide/'));

describe('samples', () => {
  const samples = GUIDE.flatMap(samplesOf);
  /** One that is wrong on purpose: what is told of it shows that the others were looked at. */
  const broken = { ...find(samples, "every('1s')"), path: join(FOLDER, 'broken.ts'), page: 'BROKEN' };
  const told = compile([...samples, { ...broken, text: broken.text.replace("every('1s')", 'every(true)') }]);

  test('in TypeScript compile', () => {
    assert.ok(samples.length >= 6, `found ${samples.length}`);
    assert.deepEqual(
      told.filter((message) => !message.startsWith('BROKEN')),
      [],
    );
  });

  test('in TypeScript that do not compile are told with their line', () => {
    const line =
      readPage('README.md')
        .split('\n')
        .findIndex((text) => text.includes("every('1s')")) + 1;
    const ofBroken = told.filter((message) => message.startsWith('BROKEN'));
    assert.equal(ofBroken.length, 1, ofBroken.join('\n'));
    assert.match(ofBroken[0] ?? '', new RegExp(`^BROKEN:${line}: .*boolean`));
  });

  for (const page of GUIDE) {
    const manifests = codeBlocks(readPage(page)).filter(
      ({ language, text }) => language === 'yaml' && text.includes('kind: ScheduledTask'),
    );
    for (const { text, line } of manifests) {
      test(`the manifest of ${page}:${line} is valid`, () => {
        const { objects, problems, warnings } = parseManifests(text, page);
        assert.deepEqual({ problems, warnings }, { problems: [], warnings: [] });
        assert.ok(objects.length > 0);
      });
    }
  }

  test('have a prelude only where the page and the module exist', () => {
    for (const [page, prelude] of Object.entries(PRELUDES))
      assert.ok(GUIDE.includes(page) && existsSync(join(ROOT, prelude)), `${page} → ${prelude}`);
  });
});
