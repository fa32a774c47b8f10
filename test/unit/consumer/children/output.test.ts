import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type OutputLimits,
  type OutputLine,
  OutputTail,
  RunOutput,
} from '../../../../src/consumer/children/output.ts';

const LIMITS: OutputLimits = { maxLines: 1_000, maxBytes: 64 * 1024, maxLineBytes: 8 * 1024 };

function outputOf(
  chunks: readonly Buffer[],
  limits: Partial<OutputLimits> = {},
): { lines: OutputLine[]; droppedBytes: number } {
  const lines: OutputLine[] = [];
  const output = new RunOutput((line) => lines.push(line), { ...LIMITS, ...limits });
  for (const chunk of chunks) output.write('stdout', chunk);
  output.end();
  return { lines, droppedBytes: output.droppedBytes };
}

const textsOf = (chunks: readonly Buffer[], limits?: Partial<OutputLimits>): string[] =>
  outputOf(chunks, limits).lines.map(({ text }) => text);

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((one) => one % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

test('lines are the same wherever the chunks are cut, within characters too', () => {
  const line = fc
    .string({ unit: 'grapheme', maxLength: 40 })
    .map((text) => text.replaceAll(/[\r\n\ufeff]/g, '-'));
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 20 }),
      fc.array(fc.nat(2_000), { maxLength: 30 }),
      (lines, at) => {
        const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''));
        assert.deepEqual(
          textsOf(cut(bytes, at)),
          lines.map((one) => one.toWellFormed()),
        );
      },
    ),
  );
});

test('every byte is kept or counted as dropped, whatever is written', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 30 }),
      fc.record({
        maxLines: fc.integer({ min: 1, max: 20 }),
        maxBytes: fc.integer({ min: 1, max: 500 }),
        maxLineBytes: fc.integer({ min: 1, max: 60 }),
      }),
      (chunks, limits) => {
        const { lines, droppedBytes } = outputOf(
          chunks.map((chunk) => Buffer.from(chunk)),
          limits,
        );
        assert.ok(lines.length <= limits.maxLines);
        for (const { text } of lines) assert.ok(text.length <= limits.maxLineBytes);
        const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
        assert.ok(droppedBytes <= total);
        const fits =
          total <= limits.maxBytes &&
          chunks.flatMap((chunk) => [...chunk]).filter((byte) => byte === 0x0a).length < limits.maxLines;
        if (fits && limits.maxLineBytes >= total) assert.equal(droppedBytes, 0);
      },
    ),
  );
});

test('a carriage return before the newline is dropped, any other control character is kept', () => {
  assert.deepEqual(textsOf([Buffer.from('one\r\n'), Buffer.from('10 %\r20 %\u001b[1m\n\n')]), [
    'one',
    '10 %\r20 %\u001b[1m',
    '',
  ]);
});

test('a line that is too long is cut at a whole character and says how much it lost', () => {
  const { lines, droppedBytes } = outputOf([Buffer.from(`${'🙂'.repeat(10)}\nnext\n`)], { maxLineBytes: 10 });
  assert.deepEqual(lines, [
    { stream: 'stdout', text: '🙂🙂', cutBytes: 30 },
    { stream: 'stdout', text: 'next', cutBytes: 0 },
  ]);
  assert.equal(droppedBytes, 30);
});

test('after the last line that is kept, nothing is, and all of it is counted', () => {
  const { lines, droppedBytes } = outputOf([Buffer.from('a\nb\nc\nd\n'), Buffer.from('e\n')], {
    maxLines: 2,
  });
  assert.deepEqual(
    lines.map(({ text }) => text),
    ['a', 'b'],
  );
  assert.equal(droppedBytes, 6);
});

test('the byte limit holds over both streams and cuts the line that crosses it', () => {
  const lines: OutputLine[] = [];
  const output = new RunOutput((line) => lines.push(line), { ...LIMITS, maxBytes: 8 });
  output.write('stdout', Buffer.from('12345\n'));
  output.write('stderr', Buffer.from('67890\n'));
  output.write('stdout', Buffer.from('more\n'));
  output.end();
  assert.deepEqual(lines, [
    { stream: 'stdout', text: '12345', cutBytes: 0 },
    { stream: 'stderr', text: '678', cutBytes: 2 },
  ]);
  assert.equal(output.droppedBytes, 7); // 2 of the line, 5 after it; newlines of kept lines do not count
});

test('the tail is the end of what was written, in chunks of any size', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 50, unit: 'grapheme-ascii' }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 100 }),
      (texts, size) => {
        const tail = new OutputTail(size);
        for (const text of texts) tail.write(Buffer.from(text));
        assert.equal(tail.text, texts.join('').slice(-size));
      },
    ),
  );
});
