import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinObservers } from '../../../src/cli/observers.ts';

interface Watcher {
  began(name: string, atMs: number): void;
  ended(name: string): void;
}

const SILENT: Watcher = { began: () => undefined, ended: () => undefined };

test('every watcher is told, in order, with all arguments, and one that lacks a call is passed over', () => {
  const told: unknown[] = [];
  const joined = joinObservers<Watcher>(
    { ...SILENT, began: (...args) => told.push(['first', ...args]) },
    {
      began: (...args) => told.push(['second', ...args]),
      ended: (...args) => told.push(['second', ...args]),
    },
    { ended: (...args) => told.push(['third', ...args]) },
  );
  joined.began('a', 1);
  joined.ended('a');
  assert.deepEqual(told, [
    ['first', 'a', 1],
    ['second', 'a', 1],
    ['second', 'a'],
    ['third', 'a'],
  ]);
});

test('a call of a class instance is found on its prototype', () => {
  let ended = '';
  class Counting {
    ended(name: string): void {
      ended = name;
    }
  }
  joinObservers<Watcher>(SILENT, new Counting()).ended('a');
  assert.equal(ended, 'a');
});

test('a watcher that throws, which none may, is heard by the caller and keeps its call from those behind it', () => {
  const told: string[] = [];
  const joined = joinObservers<Watcher>(
    SILENT,
    { ended: () => told.push('before') },
    {
      ended: () => {
        throw new Error('defect');
      },
    },
    { ended: () => told.push('behind') },
  );
  assert.throws(() => joined.ended('a'), /defect/);
  assert.deepEqual(told, ['before']);
});
