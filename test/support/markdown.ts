/** The pages of the project, and what stands in them: code, links, headings. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface CodeBlock {
  readonly language: string;
  readonly text: string;
  /** Of its first line of code, from 1. */
  readonly line: number;
}

/** Paths from the root of the repository. */
export function pages(): readonly string[] {
  const inFolder = (folder: string): readonly string[] =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md'))
      .map((path) => join(folder, path));
  const atTop = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  return [
    ...atTop,
    ...['docs', 'examples', 'helm'].filter((folder) => existsSync(join(ROOT, folder))).flatMap(inFolder),
  ].sort();
}

export const readPage = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export function codeBlocks(markdown: string): readonly CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(\S*)/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === undefined) open = { language: fence[1] ?? '', line: index + 2, lines: [] };
    else {
      blocks.push({ language: open.language, line: open.line, text: open.lines.join('\n') });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`the code that begins in line ${open.line} has no end`);
  return blocks;
}

/** Without code, in blocks and in lines: nothing in it is a link or a heading. */
const proseOf = (markdown: string): string =>
  markdown.replace(/^```[^]*?^```$/gm, '').replace(/(`+)[^`]*?\1/g, (code) => code.replace(/[[\]()]/g, ''));

/** Targets of inline links and of link definitions. */
export function links(markdown: string): readonly string[] {
  const prose = proseOf(markdown);
  const inline = prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g);
  const defined = prose.matchAll(/^\s*\[[^\]]+\]:\s*(\S+)/gm);
  return [...inline, ...defined].map(([, target = '']) => target);
}

/** What `#…` may name: the headings, as GitHub makes anchors of them. */
export function anchors(markdown: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [, text = ''] of markdown.replace(/^```[^]*?^```$/gm, '').matchAll(/^#{1,6}\s+(.*?)\s*#*$/gm)) {
    const slug = text
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
      .replaceAll(' ', '-');
    let unique = slug;
    for (let nth = 1; found.has(unique); nth++) unique = `${slug}-${nth}`;
    found.add(unique);
  }
  return found;
}
