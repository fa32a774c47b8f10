import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DECISION_REASONS } from '../../../src/schedule/reasons.ts';

const GUIDE = join(import.meta.dirname, '../../../docs/guide/schedules.md');

test('the guide explains every reason that a slot can have, once, and no other', () => {
  const table =
    readFileSync(GUIDE, 'utf8')
      .split(/^\| reason .*$/m)[1]
      ?.split(/\n\n/)[0] ?? '';
  const explained = [...table.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, reason]) => reason),
  );
  assert.deepEqual(explained.toSorted(), [...DECISION_REASONS].sort());
});
