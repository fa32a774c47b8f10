/** Every relative link of every page leads to something. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import { anchors, links, pages, readPage, ROOT } from '../support/markdown.ts';

const isElsewhere = (link: string): boolean => /^[a-z][a-z0-9+.-]*:/i.test(link);

/** @returns why the link leads nowhere, or `undefined` */
function whyBroken(page: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), decodeURIComponent(path)));
  if (!existsSync(join(ROOT, target))) return `${target} does not exist`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchors(readPage(target)).has(anchor) ? undefined : `${target} has no heading #${anchor}`;
}

describe('links', () => {
  for (const page of pages()) {
    test(`of ${page} lead to files and headings that exist`, () => {
      const broken = links(readPage(page))
        .filter((link) => !isElsewhere(link))
        .flatMap((link) => {
          const why = whyBroken(page, link);
          return why === undefined ? [] : [`${link}: ${why}`];
        });
      assert.deepEqual(broken, []);
    });
  }
});

test('a link that leads nowhere is noticed', () => {
  const page =
    '# A `b` c\n\n[a](nowhere.md) [b](#a-b-c) [c](#other) `[d](e)`\n\n```\n[f](g)\n```\n\n[x]: docs/guide/tasks.md#context\n';
  assert.deepEqual(links(page), ['nowhere.md', '#a-b-c', '#other', 'docs/guide/tasks.md#context']);
  assert.deepEqual([...anchors(page)], ['a-b-c']);
  assert.match(whyBroken('README.md', 'nowhere.md') ?? '', /nowhere\.md does not exist/);
  assert.match(whyBroken('README.md', '#not-there') ?? '', /README\.md has no heading #not-there/);
  assert.ok(pages().length > 10, 'all pages are looked at');
});
