/** The fault matrix is whole, its page is what the suite says, and each acceptance can be untrue. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROWS_ELSEWHERE, ROWS_OPEN } from '../faults/elsewhere.ts';
import { PAGE, renderPage } from '../faults/page.ts';
import { readRecords } from '../faults/records.ts';
import { ROWS } from '../faults/registry.ts';
import { readSoak } from '../soak/record.ts';

const ROOT = join(import.meta.dirname, '../..');
const LAST_ROW = 48;
/** In a test's source, a title may have a placeholder before or after what is named. */
const hasTitle = (source: string, title: string): boolean =>
  source.includes(`${title}'`) || source.includes(`${title}\``);

describe('the fault matrix', () => {
  test('names each of its rows once', () => {
    const numbers = [...ROWS, ...ROWS_ELSEWHERE, ...ROWS_OPEN].map(({ row }) => row);
    assert.deepEqual(
      numbers.toSorted((left, right) => left - right),
      Array.from({ length: LAST_ROW }, (_, index) => index + 1),
    );
  });

  test('names tests that exist', () => {
    for (const { row, tests } of ROWS_ELSEWHERE) {
      assert.ok(tests.length > 0, `row ${row} names no test`);
      for (const { file, title } of tests) {
        assert.ok(existsSync(join(ROOT, file)), `row ${row}: ${file}`);
        assert.ok(
          hasTitle(readFileSync(join(ROOT, file), 'utf8'), title),
          `row ${row}: ${file} has no "${title}"`,
        );
      }
    }
  });

  test('has a page that is what the suite and the recorded figures say', async () => {
    assert.equal(readFileSync(PAGE, 'utf8'), await renderPage(), 'run: node test/faults/page.ts');
  });

  test('has recorded figures that hold', () => {
    for (const [key, { size, figures }] of Object.entries(readRecords())) {
      const row = ROWS.find((candidate) => key === `${candidate.row} ${size}`);
      assert.ok(row !== undefined, `${key} is no row`);
      assert.deepEqual(row.judge(figures, size), [], key);
    }
  });

  test('has a recorded soak that held', () => {
    const { minutes, lost, settledTwice, undecided, doubled, byHandUndecided, byHandDoubled } = readSoak();
    assert.ok(minutes >= 30);
    assert.deepEqual(
      [lost, settledTwice, undecided, doubled, byHandUndecided, byHandDoubled],
      Array(6).fill(0),
    );
  });

  test('refuses figures of which every one is wrong', () => {
    for (const row of ROWS) {
      const absurd = new Proxy<Record<string, number>>({}, { get: () => NaN });
      const accepted = row.judge(absurd, 'short');
      assert.ok(accepted.length >= 3, `row ${row.row} refuses too little: ${accepted.join('; ')}`);
    }
  });
});
