import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ScheduledTaskSpecInput, ScheduledTaskSpecSchema } from '../../../src/resource/spec-schema.ts';
import { fileUid, generationOf, specText } from '../../../src/controller/file-generation.ts';

const specOf = (input: ScheduledTaskSpecInput) => ScheduledTaskSpecSchema.parse(input);
const live = (generation: number) => ({ generation, withdrawn: false });

test('the same content keeps its generation, in every process and after every restart', () => {
  const first = generationOf('spec A', undefined, false);
  assert.equal(generationOf('spec A', undefined, false), first);
  assert.equal(generationOf('spec A', live(first), false), first);
});

test('each edit raises the generation, also one that goes back to an older content', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('A', 'B', 'C'), { minLength: 2, maxLength: 50 }), (edits) => {
      let generation: number | undefined;
      let before: string | undefined;
      for (const text of edits) {
        const next = generationOf(text, generation === undefined ? undefined : live(generation), false);
        if (generation !== undefined && text !== before) assert.ok(next > generation);
        if (text === before) assert.equal(next, generation);
        assert.ok(Number.isSafeInteger(next));
        generation = next;
        before = text;
      }
    }),
  );
});

test('two replicas that raise it at the same moment to different contents do not make the same number', () => {
  const known = live(generationOf('old', undefined, false));
  assert.notEqual(generationOf('mine', known, false), generationOf('yours', known, false));
});

test('an object that comes back after it was withdrawn gets a higher generation although its content is the same', () => {
  const first = generationOf('spec A', undefined, false);
  assert.ok(generationOf('spec A', { generation: first, withdrawn: true }, false) > first);
});

test('contents that are known to differ get different generations even if their hashes agree', () => {
  const first = generationOf('spec A', undefined, false);
  assert.ok(generationOf('spec A', live(first), true) > first);
});

test('eight million edits fit into a number that JavaScript and Lua can hold', () => {
  const last = generationOf('x', live((2 ** 23 - 2) * 2 ** 30), false);
  assert.ok(Number.isSafeInteger(last));
});

test('neither the order of keys nor a default that is spelled out is an edit', () => {
  const terse = specOf({ task: 'a', every: '1m', params: { y: 1, x: [2, 1] } });
  assert.equal(
    specText(specOf({ params: { x: [2, 1], y: 1 }, every: '1m', suspend: false, task: 'a' })),
    specText(terse),
  );
  assert.notEqual(specText(specOf({ task: 'a', every: '1m', params: { y: 1, x: [1, 2] } })), specText(terse));
  assert.notEqual(
    specText(specOf({ task: 'a', every: '1m', params: { y: 1, x: [2, 1] }, suspend: true })),
    specText(terse),
  );
});

test('a uid says install, namespace and name without mixing them up', () => {
  const uids = [
    fileUid('i', 'a-b', 'c'),
    fileUid('i', 'a', 'b-c'),
    fileUid('j', 'a-b', 'c'),
    fileUid('i', 'a-b/c', ''),
  ];
  assert.equal(new Set(uids).size, uids.length);
  assert.equal(fileUid('i', 'a-b', 'c'), uids[0]);
});
