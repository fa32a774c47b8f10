/** YAML text to plain values that remember their lines, within bounds: a hostile file costs a message, not the process. */
import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  visit,
} from 'yaml';
import { messageOf, type Problem } from '../runtime/errors.ts';
import { escapeControls } from '../runtime/printable.ts';
import { quote } from '../schedule/schedule-error.ts';
import type { FieldPath } from './field-problems.ts';
import { boundedTokens, TooDeep } from './yaml-tokens.ts';

/** About 10,000 objects. The parser needs up to 5 s for each MiB of hostile text. */
export const MANIFEST_MAX_BYTES = 2 * 1024 * 1024;
/** Of one document: a binary file has an error at every byte. */
const MOST_PROBLEMS = 20;
/** Of what the parser says: it quotes tags and anchors whole. */
const LONGEST_HINT = 200;
/** Enough for a shared block of params; a bomb of aliases within aliases is refused. */
const MOST_ALIASES = 100;

export interface YamlDocument {
  /** Plain JSON-like value; `null` for an empty document. */
  readonly value: unknown;
  /** Line of a field, or of the nearest one above it that is there. First line: 1. */
  readonly lineOf: (path: FieldPath) => number;
}

export interface YamlFile {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Reads every document of a file; one that is broken does not hide the others. */
export function readYaml(text: string, file: string): YamlFile {
  const bytes = Buffer.byteLength(text);
  if (bytes > MANIFEST_MAX_BYTES) {
    const message = `must be at most ${MANIFEST_MAX_BYTES / 1024 / 1024} MiB, not ${Math.ceil(bytes / 1024 / 1024)} MiB: split the file`;
    return { documents: [], problems: [{ at: file, message }], warnings: [] };
  }
  const lines = new LineCounter();
  const read = parseText(text, lines).map((parsed) =>
    'message' in parsed
      ? { documents: [], problems: [unreadable(parsed, file, lines)], warnings: [] }
      : readDocument(parsed, file, lines),
  );
  return {
    documents: read.flatMap(({ documents }) => documents),
    problems: read.flatMap(({ problems }) => problems),
    warnings: read.flatMap(({ warnings }) => warnings),
  };
}

const hintOf = (cause: unknown): string => escapeControls(messageOf(cause).slice(0, LONGEST_HINT));

const lineIn = (lines: LineCounter, offset: number): number => Math.max(1, lines.linePos(offset).line);

function unreadable({ message, offset }: Unreadable, file: string, lines: LineCounter): Problem {
  return { at: offset === undefined ? file : `${file}:${lineIn(lines, offset)}`, message };
}

interface Unreadable {
  readonly message: string;
  /** Where, when that is known. */
  readonly offset?: number;
}

function parseText(text: string, lines: LineCounter): readonly (Document.Parsed | Unreadable)[] {
  // Its own search for duplicate keys compares each with each (9 s for 20,000 of them): ours is below.
  const composer = new Composer({
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
    // Whatever %YAML says: `yes` stays a text, `<<` a key, and no tag makes a value that JSON does not have.
    schema: 'core',
    resolveKnownTags: false,
  });
  // Nobody sees the stacks of its errors, of which a broken file has one for each byte: they are most of what those cost.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return [...composer.compose(boundedTokens(text, lines))];
  } catch (cause) {
    if (cause instanceof TooDeep) return [{ message: cause.message, offset: cause.offset }];
    return [{ message: `cannot be read as YAML: ${hintOf(cause)}` }];
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function readDocument(document: Document.Parsed, file: string, lines: LineCounter): YamlFile {
  const lineAt = (offset: number): number => lineIn(lines, offset);
  const problemAt = (offset: number, message: string): Problem => ({
    at: `${file}:${lineAt(offset)}`,
    message,
  });
  const warnings = document.warnings.map(({ pos, message }) =>
    problemAt(pos[0], escapeControls(message.slice(0, LONGEST_HINT))),
  );
  const problems = [
    ...document.errors.map(({ pos, message }) => ({
      offset: pos[0],
      message: `is not valid YAML: ${syntaxHint(message)}`,
    })),
    ...contentProblems(document, lineAt),
  ].map(({ offset, message }) => problemAt(offset, message));
  if (problems.length > 0)
    return { documents: [], problems: firstOfEachLine(problems).slice(0, MOST_PROBLEMS), warnings };
  try {
    const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES });
    return {
      documents: [{ value, lineOf: (path) => lineAt(offsetOf(document, path)) }],
      problems: [],
      warnings,
    };
  } catch (cause) {
    // The aliases of a bomb are only counted when they are followed.
    const message = `has too many aliases, or aliases of aliases: ${hintOf(cause)}`;
    return { documents: [], problems: [problemAt(document.range[0], message)], warnings };
  }
}

/** One mistake in the syntax often makes several errors, of which the first says it best. */
function firstOfEachLine(problems: readonly Problem[]): Problem[] {
  const lines = new Set<string>();
  return problems.filter(({ at }) => !lines.has(at) && lines.add(at));
}

/** The most frequent mistake of all deserves more than "unresolved alias". */
function syntaxHint(message: string): string {
  const first = escapeControls((message.split('\n', 1)[0] ?? '').slice(0, LONGEST_HINT));
  return /alias/i.test(first)
    ? `${first} (a cron expression that begins with * needs quotes: schedule: "*/5 * * * *")`
    : first;
}

const WHOLE_NUMBER = /^([-+]?\d+|0x[\da-f]+|0o[0-7]+)$/i;

interface ContentProblem {
  readonly offset: number;
  readonly message: string;
}

/** What YAML allows and a manifest does not: a key given twice or that is no text, and a whole number that would arrive rounded. */
function contentProblems(document: Document.Parsed, lineAt: (offset: number) => number): ContentProblem[] {
  const found: ContentProblem[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Map<string, number>();
      for (const { key } of items) {
        if (!isScalar(key)) {
          const offset = isNode(key) ? (key.range?.[0] ?? 0) : 0;
          found.push({ offset, message: 'a key must be a text, not a list, a map or an alias' });
          continue;
        }
        const name = String(key.value);
        const offset = key.range?.[0] ?? 0;
        const first = seen.get(name);
        if (first === undefined) seen.set(name, offset);
        else
          found.push({
            offset,
            message: `${quote(name)} stands twice in the same map, first in line ${lineAt(first)}: keep one`,
          });
      }
    },
    Scalar(_, { value, source, range }) {
      if (
        typeof value !== 'number' ||
        source === undefined ||
        !WHOLE_NUMBER.test(source) ||
        Number.isSafeInteger(value)
      )
        return;
      const message = `${source.slice(0, 40)} is a whole number beyond 2^53 and would be rounded: put it in quotes`;
      found.push({ offset: range?.[0] ?? 0, message });
    },
  });
  return found;
}

function offsetOf(document: Document, path: FieldPath): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    const child = childOf(node, part);
    if (child === undefined) break;
    node = child.node;
    offset = child.offset ?? offset;
  }
  return offset;
}

interface Child {
  readonly node: Node | undefined;
  readonly offset: number | undefined;
}

function childOf(node: Node | null | undefined, part: string | number): Child | undefined {
  if (isSeq(node) && typeof part === 'number') {
    const item = node.items[part];
    return isNode(item) ? { node: item, offset: item.range?.[0] } : undefined;
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
  if (pair === undefined) return undefined;
  const offset = isNode(pair.key) ? pair.key.range?.[0] : undefined;
  return { node: isNode(pair.value) ? pair.value : undefined, offset };
}
