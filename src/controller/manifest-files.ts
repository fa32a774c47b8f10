/**
 * Reads manifests from files and folders, again and again, and tells a change from a file that is just being written.
 *
 * - A changed text counts when it was read twice the same, a moment apart; one that takes objects away, or a file that is
 *   gone, when that has lasted a second. A half-written file is not a deletion.
 * - A file that turns invalid keeps its last good objects, and its problems are reported.
 */
import { isUtf8 } from 'node:buffer';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { messageOf, type Problem, TidemillError } from '../runtime/errors.ts';
import type { ManifestObject } from './manifest-object.ts';

const EXTENSIONS = new Set(['.yaml', '.yml', '.json']);

export const SETTLE_MS = 150;
export const REMOVAL_GRACE_MS = 1_000;

export interface ParsedFile {
  readonly objects: readonly ManifestObject[];
  /** What must be mended. The objects concerned are not among `objects`. */
  readonly problems: readonly Problem[];
  /** What was left out on purpose. */
  readonly warnings?: readonly Problem[];
}

/** @param file - its path, for messages */
export type ParseFile = (text: string, file: string) => ParsedFile;

interface FileState {
  signature: string;
  /** The text in force, also when it is invalid. */
  text: string | undefined;
  /** Of the last text that was valid. */
  objects: readonly ManifestObject[];
  problems: readonly Problem[];
  warnings: readonly Problem[];
  /** A new text that has yet to prove that it is whole. */
  candidate: { readonly text: string; readonly parsed: ParsedFile; readonly sinceMs: number } | undefined;
  missingSinceMs: number | undefined;
}

export interface Scan {
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly Problem[];
  /** What was left out on purpose. */
  readonly warnings: readonly Problem[];
  /** Every file could be read and was valid: what is absent is gone. */
  readonly complete: boolean;
  /** Something is about to change: scan again soon. */
  readonly unsettled: boolean;
}

export class ManifestFiles {
  readonly #roots: readonly string[];
  readonly #parse: ParseFile;
  readonly #files = new Map<string, FileState>();
  #scanned = false;

  /** @param roots - files, and folders that are searched through with all their subfolders */
  constructor(roots: readonly string[], parse: ParseFile) {
    this.#roots = roots;
    this.#parse = parse;
  }

  async scan(monotonicMs: number): Promise<Scan> {
    const { paths, problems } = await this.#listFiles();
    for (const path of paths) problems.push(...(await this.#read(path, monotonicMs)));
    const listed = new Set(paths);
    // A folder that cannot be listed says nothing about the files in it.
    const canMiss = problems.length === 0;
    for (const [path, file] of this.#files)
      if (!listed.has(path) && canMiss) this.#miss(path, file, monotonicMs);
    this.#scanned = true;
    const files = [...this.#files.values()];
    const allProblems = [...problems, ...files.flatMap((file) => file.problems)];
    return {
      objects: [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, { objects }]) => objects),
      problems: allProblems,
      warnings: files.flatMap(({ warnings }) => warnings),
      complete: allProblems.length === 0,
      unsettled: files.some(
        ({ candidate, missingSinceMs }) => candidate !== undefined || missingSinceMs !== undefined,
      ),
    };
  }

  async #listFiles(): Promise<{ readonly paths: readonly string[]; readonly problems: Problem[] }> {
    const paths = new Set<string>();
    const problems: Problem[] = [];
    for (const root of this.#roots) {
      try {
        for (const path of await filesUnder(root)) paths.add(path);
      } catch (error) {
        // A file that was there and is not: its removal has to last before it counts, as in a folder.
        if (isNotFound(error) && this.#files.has(root)) continue;
        problems.push({ at: root, message: `cannot be read: ${messageOf(error)}` });
      }
    }
    return { paths: [...paths], problems };
  }

  async #read(path: string, nowMs: number): Promise<readonly Problem[]> {
    try {
      const signature = await signatureOf(path);
      const file = this.#files.get(path) ?? emptyFile();
      file.missingSinceMs = undefined;
      if (signature !== file.signature || file.candidate !== undefined) {
        this.#consider(path, file, await readText(path), nowMs);
        file.signature = signature;
      }
      this.#files.set(path, file);
      return [];
    } catch (error) {
      if (isNotFound(error)) return [];
      return [{ at: path, message: `cannot be read: ${messageOf(error)}` }];
    }
  }

  #consider(path: string, file: FileState, text: string, nowMs: number): void {
    if (text === file.text) {
      file.candidate = undefined;
      return;
    }
    if (file.candidate?.text !== text)
      file.candidate = { text, parsed: this.#parse(text, path), sinceMs: nowMs };
    const { parsed, sinceMs } = file.candidate;
    const waitMs = takesAway(file.objects, parsed.objects) ? REMOVAL_GRACE_MS : SETTLE_MS;
    if (this.#scanned && nowMs - sinceMs < waitMs) return;
    // With no good version to keep, what is valid in it is served: one bad object must not stop its neighbours.
    if (parsed.problems.length === 0 || file.text === undefined) file.objects = parsed.objects;
    file.text = text;
    file.problems = parsed.problems;
    file.warnings = parsed.warnings ?? [];
    file.candidate = undefined;
  }

  #miss(path: string, file: FileState, nowMs: number): void {
    file.missingSinceMs ??= nowMs;
    if (nowMs - file.missingSinceMs >= REMOVAL_GRACE_MS) this.#files.delete(path);
  }
}

function emptyFile(): FileState {
  return {
    signature: '',
    text: undefined,
    objects: [],
    problems: [],
    warnings: [],
    candidate: undefined,
    missingSinceMs: undefined,
  };
}

function takesAway(before: readonly ManifestObject[], after: readonly ManifestObject[]): boolean {
  return before.some(
    ({ namespace, name }) => !after.some((object) => object.namespace === namespace && object.name === name),
  );
}

async function filesUnder(root: string): Promise<readonly string[]> {
  if (!(await stat(root)).isDirectory()) return [root];
  const paths: string[] = [];
  for (const entry of await readdir(root, { withFileTypes: true })) {
    // Hidden ones hold the versions that a mounted ConfigMap switches between, editors' backups, and version control.
    if (entry.name.startsWith('.')) continue;
    const path = join(root, entry.name);
    if (entry.isDirectory()) paths.push(...(await filesUnder(path)));
    else if (EXTENSIONS.has(extname(entry.name).toLowerCase())) paths.push(path);
  }
  return paths;
}

/** Another encoding would come out as replacement characters, in params that nobody looks at. */
async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  if (!isUtf8(bytes)) throw new TidemillError('MANIFEST_INVALID', 'it is not UTF-8 text');
  return bytes.toString('utf8');
}

async function signatureOf(path: string): Promise<string> {
  const { mtimeNs, size, ino, dev } = await stat(path, { bigint: true });
  return `${dev}:${ino}:${size}:${mtimeNs}`;
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
