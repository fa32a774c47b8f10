/** Spoils text: the few characters that parsers trip over, in the places where they trip. */
import type { RandomSource } from '../support/random.ts';

/** Put in, or put in the place of something. */
const NASTY: readonly string[] = [
  ...[
    '\0',
    '\n',
    '\r\n',
    '\t',
    ' ',
    '',
    '\x1b[31m',
    '\x7f',
    '\u009b',
    '\u200b',
    '\u2028',
    '\u202e',
    '\ufeff',
  ],
  ...[
    '\ud800',
    '\udfff',
    'é',
    '５',
    '١',
    '💥',
    'µ',
    '\\',
    '"',
    "'",
    '`',
    '/',
    '../',
    '%00',
    '%',
    '${x}',
    '{{',
  ],
  ...[
    '{',
    '}',
    '[',
    ']',
    '(',
    ')',
    '<',
    '>',
    '&',
    '*',
    '?',
    '|',
    '#',
    '@',
    '!',
    ':',
    ';',
    ',',
    '.',
    '~',
    '^',
    '$',
  ],
  ...[
    '-',
    '--',
    '+',
    '-1',
    '0',
    '-0',
    '00',
    '1e9',
    '1e999',
    '0x10',
    'NaN',
    'Infinity',
    'null',
    'true',
    'undefined',
  ],
  ...['9007199254740993', '9'.repeat(40), '2147483648', '-9223372036854775809', '1_000', '1.5', '.5', '1.'],
  ...['__proto__', 'constructor', 'prototype', 'toString', '{"__proto__":{"polluted":1}}', '"__proto__":1'],
];
const MOST_REPEATS = 300;
/** Longer inputs only repeat what shorter ones show. */
const LONGEST_INPUT = 2_048;

type Mutation = (text: string, random: RandomSource) => string;

const position = (text: string, random: RandomSource): number =>
  random.between({ min: 0, max: text.length + 1 });
const nasty = (random: RandomSource): string => random.pick(NASTY) ?? '';
/** A short stretch: where it begins, and where it ends. */
function stretch(text: string, random: RandomSource): readonly [number, number] {
  const start = position(text, random);
  return [start, Math.min(text.length, start + random.between({ min: 1, max: 12 }))];
}

const MUTATIONS: readonly Mutation[] = [
  function insert(text, random) {
    const at = position(text, random);
    return text.slice(0, at) + nasty(random) + text.slice(at);
  },
  function replace(text, random) {
    const [start, end] = stretch(text, random);
    return text.slice(0, start) + nasty(random) + text.slice(end);
  },
  function remove(text, random) {
    const [start, end] = stretch(text, random);
    return text.slice(0, start) + text.slice(end);
  },
  function repeat(text, random) {
    const [start, end] = stretch(text, random);
    const times = random.between({ min: 2, max: MOST_REPEATS });
    return text.slice(0, start) + text.slice(start, end).repeat(times) + text.slice(end);
  },
  function swap(text, random) {
    const [start, end] = stretch(text, random);
    const [other, otherEnd] = stretch(text, random);
    if (other < end) return text;
    return (
      text.slice(0, start) +
      text.slice(other, otherEnd) +
      text.slice(end, other) +
      text.slice(start, end) +
      text.slice(otherEnd)
    );
  },
  function cutShort(text, random) {
    return text.slice(0, position(text, random));
  },
  function flip(text, random) {
    const at = random.between({ min: 0, max: Math.max(1, text.length) });
    const code = text.charCodeAt(at) ^ (1 << random.between({ min: 0, max: 16 }));
    return text.slice(0, at) + (Number.isNaN(code) ? '' : String.fromCharCode(code)) + text.slice(at + 1);
  },
];

/** The text as it is in a quarter of all cases, else spoilt one to four times. */
export function spoil(text: string, random: RandomSource): string {
  if (random.next() < 0.25) return text;
  let spoilt = text;
  const times = random.between({ min: 1, max: 5 });
  for (let time = 0; time < times; time += 1) spoilt = random.pick(MUTATIONS)?.(spoilt, random) ?? spoilt;
  return spoilt.slice(0, LONGEST_INPUT);
}

/** One of several things to say. */
export function oneOf(random: RandomSource, ...choices: readonly (string | (() => string))[]): string {
  const choice = random.pick(choices) ?? '';
  return typeof choice === 'string' ? choice : choice();
}

/** `least` to `most` of something. */
export function some(random: RandomSource, least: number, most: number, make: () => string): string[] {
  return Array.from({ length: random.between({ min: least, max: most + 1 }) }, make);
}
