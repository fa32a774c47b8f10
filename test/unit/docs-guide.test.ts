/** The guide says what the code does: every page is in the index, its YAML can be read, its commands exist, its slots are right. */
import assert from 'node:assert/strict';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { parseAllDocuments } from 'yaml';
import { processIo } from '../../src/cli/io.ts';
import { createPlugin } from '../../src/cli/kubectl/program.ts';
import { createProgram } from '../../src/cli/main.ts';
import { parseQueuesFile } from '../../src/cli/queues-file.ts';
import { cron } from '../../src/schedule/cron.ts';
import { type CodeBlock, codeBlocks, links, pages, readPage } from '../support/markdown.ts';

const INDEX = 'docs/README.md';
const TIME_ZONES = 'docs/guide/time-zones.md';
const GUIDE = pages().filter((page) => page.startsWith('docs/guide/'));
const RUNBOOKS = pages().filter((page) => page.startsWith('docs/runbooks/'));

function blocksOf(page: string, language: string): readonly CodeBlock[] {
  return codeBlocks(readPage(page)).filter((block) => block.language === language);
}

test('every page of the guide and of the reference is in the index', () => {
  const listed = new Set(links(readPage(INDEX)).map((link) => normalize(join(dirname(INDEX), link))));
  const expected = pages().filter((page) => /^docs\/(guide|reference)\//.test(page));
  assert.deepEqual(
    expected.filter((page) => !listed.has(page)),
    [],
  );
});

describe('YAML in the guide', () => {
  for (const page of GUIDE) {
    for (const { text, line } of blocksOf(page, 'yaml')) {
      test(`of ${page}:${line} can be read, and every object has a kind and a name`, () => {
        for (const document of parseAllDocuments(text, { uniqueKeys: true })) {
          assert.deepEqual(document.errors, []);
          if (!document.has('apiVersion')) continue;
          assert.equal(typeof document.get('kind'), 'string');
          assert.equal(typeof document.getIn(['metadata', 'name']), 'string');
        }
      });
    }
  }
});

describe('queue files in the guide', () => {
  const files = GUIDE.flatMap((page) =>
    blocksOf(page, 'yaml').flatMap(({ text, line }) => {
      const mounted: unknown = parseAllDocuments(text)[0]?.getIn(['data', 'queues.yaml']);
      if (typeof mounted === 'string') return [{ at: `${page}:${line}`, text: mounted }];
      return text.startsWith('queues:') ? [{ at: `${page}:${line}`, text }] : [];
    }),
  );

  test('are there', () => {
    assert.equal(files.length, 2);
  });

  for (const { at, text } of files) {
    test(`of ${at} are valid`, () => {
      const read = parseQueuesFile(text, at);
      assert.ok('queues' in read, JSON.stringify(read));
    });
  }
});

/** Calls of our commands in the lines of a shell block, without comments; a line that goes on in the next is one. */
function callsIn(text: string): readonly string[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap((line) => line.replace(/(^|\s)#.*$/, '').split(/\||&&/))
    .map((call) => call.trim())
    .filter((call) => /^(kubectl )?tidemill /.test(call));
}

/** Calls in shell blocks, and in the prose between back-quotes. */
function callsOf(page: string): readonly string[] {
  const inBlocks = blocksOf(page, 'sh').flatMap(({ text }) => callsIn(text));
  const prose = readPage(page).replace(/^```[^]*?^```$/gm, '');
  const inProse = [...prose.matchAll(/`([^`]+)`/g)].flatMap(([, code = '']) => callsIn(code));
  return [...inBlocks, ...inProse];
}

interface Known {
  readonly isGroup: boolean;
  /** Long ones, such as `--json`. */
  readonly flags: ReadonlySet<string>;
}

/** Whole name, such as `kubectl tidemill why` → what it takes. */
function knownCommands(command: Command, path = command.name()): readonly (readonly [string, Known])[] {
  const children = command.commands.filter((child) => child.name() !== 'help');
  const flags = new Set(command.options.flatMap(({ long }) => long ?? []));
  return [
    [path, { isGroup: children.length > 0, flags }],
    ...children.flatMap((child) => knownCommands(child, `${path} ${child.name()}`)),
  ];
}

/** The command that a call begins with; a group of commands is none. */
function commandOf(call: string, known: ReadonlyMap<string, Known>): Known | undefined {
  const words = call.split(/\s+/);
  for (let length = Math.min(3, words.length); length > 1; length -= 1) {
    const found = known.get(words.slice(0, length).join(' '));
    if (found !== undefined) return found.isGroup && length < words.length ? undefined : found;
  }
  return undefined;
}

const surroundings = { io: processIo(), done: () => undefined };
const programs = [await createProgram(surroundings), createPlugin(surroundings)];

describe('commands in the guide', () => {
  const known = new Map(programs.flatMap((program) => knownCommands(program)));

  function whyWrong(call: string): string | undefined {
    const found = commandOf(call, known);
    if (found === undefined) return `${call}: no such command`;
    const flags = call.match(/(?<=\s)--[a-z-]+/g) ?? [];
    const unknown = flags.filter((flag) => !found.flags.has(flag));
    return unknown.length === 0 ? undefined : `${call}: no flag ${unknown.join(', ')}`;
  }

  for (const page of [...GUIDE, ...RUNBOOKS]) {
    test(`of ${page} exist, with their flags`, () => {
      const wrong = callsOf(page).flatMap((call) => whyWrong(call) ?? []);
      assert.deepEqual(wrong, []);
    });
  }

  test('that do not exist are noticed', () => {
    assert.match(whyWrong('tidemill schedules when x') ?? '', /no such command/);
    assert.match(whyWrong('tidemill sail') ?? '', /no such command/);
    assert.match(whyWrong('tidemill crd --anchor') ?? '', /no flag --anchor/);
    assert.deepEqual(callsIn('tidemill crd | kubectl apply -f - # x\nls && tidemill doctor \\\n  --json\n'), [
      'tidemill crd',
      'tidemill doctor    --json',
    ]);
  });
});

/** Cells of the table rows whose second cell is a cron expression. */
function slotRows(): readonly (readonly string[])[] {
  return readPage(TIME_ZONES)
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
    .filter(([, zone = '', , from = '']) => zone.includes('/') && /^\d{4}-\d{2}-\d{2}T/.test(from));
}

describe('the table of slots', () => {
  const rows = slotRows();

  test('is there', () => {
    assert.ok(rows.length >= 10, `found ${rows.length} rows`);
  });

  for (const [, timeZone = '', expression = '', from = '', told = ''] of rows) {
    test(`is right for ${expression} in ${timeZone} from ${from}`, () => {
      const schedule = cron(expression, { timeZone });
      const expected = told.split(', ');
      const slots: string[] = [];
      for (let atMs: number | undefined = Date.parse(`${from}Z`); slots.length < expected.length;) {
        atMs = schedule.next(atMs);
        assert.ok(atMs !== undefined);
        slots.push(new Date(atMs).toISOString().slice(5, 16));
      }
      assert.deepEqual(slots, expected);
    });
  }
});
