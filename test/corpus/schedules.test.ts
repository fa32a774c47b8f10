/** Cron expressions, time zones and durations that must be refused, each with its rule. */
import { describe } from 'node:test';
import { cron } from '../../src/schedule/cron.ts';
import { every } from '../../src/schedule/every.ts';
import { accepts, refuses, titleOf } from './case.ts';

const SHAPE = /^cron expression .* must be five cron fields/;
const LENGTH = /must have at most 128 characters$/;

describe('cron expressions', () => {
  const bad: readonly (readonly [expression: string, message: RegExp])[] = [
    ...['', '   ', '* * * *', '* * * * * *', '* * * * * * * *', '@reboot', '@every 5m', '@DAILY'].map(
      (text): [string, RegExp] => [text, SHAPE],
    ),
    ...['* * * * *\n', '\n* * * * *', '*\t* * * *', '1\0 * * * *', '５ * * * *', '+5 * * * *'].map(
      (text): [string, RegExp] => [text, SHAPE],
    ),
    ...['1.5 * * * *', '0 0 ? * *', '0 0 * * ?', '0 0 * * 5#3', '0~30 * * * *', '__proto__'].map(
      (text): [string, RegExp] => [text, SHAPE],
    ),
    ...['constructor', '* * * __proto__ *', '\u202e* * * * *', '\ud800 * * * *', '* * * * * #c'].map(
      (text): [string, RegExp] => [text, SHAPE],
    ),
    ['60 * * * *', /^minute "60" must be a number from 0 to 59$/],
    ['* 24 * * *', /^hour "24" must be a number from 0 to 23$/],
    ['* * 0 * *', /^day-of-month "0" must be a number from 1 to 31$/],
    ['* * 32 * *', /^day-of-month "32" must be a number from 1 to 31$/],
    ['* * * 13 *', /^month "13" must be a number from 1 to 12 or JAN to DEC$/],
    ['* * * 0 *', /^month "0" must be a number from 1 to 12 or JAN to DEC$/],
    ['* * * constructor *', /^month "constructor" must be a number/],
    ['* * * * 8', /^day-of-week "8" must be a number from 0 to 7 or SUN to SAT$/],
    ['* * * * MON-XYZ', /^day-of-week "XYZ" in "MON-XYZ" must be a number/],
    ['* * * * 5L', /^day-of-week "5L" must be a number/],
    ['0 0 L * *', /^day-of-month "L" must be a number/],
    ['0 0 15W * *', /^day-of-month "15W" must be a number/],
    ['H * * * *', /^minute "H" must be a number/],
    ['1e1 * * * *', /^minute "1e1" must be a number/],
    ['0x10 * * * *', /^minute "0x10" must be a number/],
    ['001 * * * *', /^minute "001" must be a number/],
    ['-1 * * * *', /^minute "" in "-1" must be a number/],
    ['** * * * *', /^minute "\*\*" must be a number/],
    ['*-5 * * * *', /^minute "\*" in "\*-5" must be a number/],
    ['1-2-3 * * * *', /must be a number, a range or '\*'$/],
    ['1-0 * * * *', /^minute "1-0" must be a range that runs upwards$/],
    ['* * * * 7-1', /^day-of-week "7-1" must be a range that runs upwards$/],
    ['*/0 * * * *', /^minute "\*\/0" must have a step from 1 to 60$/],
    ['*/-1 * * * *', /^minute "\*\/-1" must have a step from 1 to 60$/],
    ['*/61 * * * *', /^minute "\*\/61" must have a step from 1 to 60$/],
    ['1/2/3 * * * *', /must have at most one step$/],
    ['5/70 * * * *', /must have '\*' or a range before its step: write 5-59\/70$/],
    ['1,,2 * * * *', /^minute "1,,2" must not have an empty part in its list$/],
    [',1 * * * *', /must not have an empty part in its list$/],
    ['TZ=UTC * * * * *', /must not carry TZ= or CRON_TZ=: set timeZone instead$/],
    ['CRON_TZ=UTC * * * * *', /must not carry TZ= or CRON_TZ=: set timeZone instead$/],
    ['0 0 30 2 *', /never fires: no month of "2" has day-of-month "30"$/],
    ['0 0 31 2,4,6,9,11 *', /never fires: no month of "2,4,6,9,11" has day-of-month "31"$/],
    ['*'.repeat(100_000), LENGTH],
    [`${'0,'.repeat(20_000)}0 * * * *`, LENGTH],
  ];
  for (const [text, message] of bad) {
    refuses(`${titleOf(text)} is refused`, () => cron(text), 'SCHEDULE_INVALID', message);
  }
});

describe('time zones', () => {
  const zoned = (timeZone: string) => () => cron('@daily', { timeZone });
  const RULE = /^time zone .* must be an IANA time zone name such as Europe\/Rome/;
  const UNKNOWN = /^time zone .* is not an IANA name known to this build \(time zone data 20\d\d/;
  for (const name of ['', 'local', 'Local', '../../etc/passwd', '+05:30', '-08', 'x'.repeat(10_000)]) {
    refuses(`${titleOf(name)} is refused`, zoned(name), 'SCHEDULE_INVALID', RULE);
  }
  for (const name of ['Europe//Berlin', '/Europe/Berlin', 'Europe/Berlin ', 'Europe/Berlin\0', '__proto__']) {
    refuses(`${titleOf(name)} is refused`, zoned(name), 'SCHEDULE_INVALID', RULE);
  }
  for (const name of ['Foo/Bar', 'UTC+5', 'Z', 'IST', 'PST', 'right/UTC', 'SystemV/PST8PDT', 'constructor']) {
    refuses(`${titleOf(name)} is refused`, zoned(name), 'SCHEDULE_INVALID', UNKNOWN);
  }
  accepts(
    'the case of a name is mended',
    () => cron('@daily', { timeZone: 'Europe/berlin' }).spec,
    cron('@daily', { timeZone: 'Europe/Berlin' }).spec,
  );
});

describe('durations', () => {
  const GRAMMAR = /^every: duration .* must be a duration such as 500ms, 30s or 1h30m/;
  const texts = ['', 'h', '10', '1h30', '-1s', '+1h', '1e9h', 'NaN', 'Infinity', 'PT1H', '1d', '1.5h', '1H'];
  const odd = ['1 h', '1h\n', '١h', '1µs', '0x1h', '100000h', '9007199254740992s', '__proto__'];
  for (const text of [...texts, ...odd, '1h'.repeat(100_000)]) {
    refuses(`${titleOf(text)} is refused`, () => every(text), 'SCHEDULE_INVALID', GRAMMAR);
  }
  for (const text of ['0s', '1ms', '99ms', '8760h1ms', '99999h']) {
    const message = /^every .* must be between 100ms and 8760h$/;
    refuses(`${titleOf(text)} is out of range`, () => every(text), 'SCHEDULE_INVALID', message);
  }
  for (const ms of [-1, 1.5, NaN, Infinity, 2 ** 53, 1e308]) {
    const message = /must be a whole number of milliseconds/;
    refuses(`${ms} ms are refused`, () => every(ms), 'SCHEDULE_INVALID', message);
  }
  accepts('30 days are slept in steps, not refused', () => every('720h').next(0), 720 * 3_600_000);
});

describe('values that plain JavaScript may pass', () => {
  for (const value of [null, 5, 1n, {}, [], Symbol('x'), () => 1, new String('* * * * *')]) {
    const type = value === null ? 'null' : typeof value;
    // @ts-expect-error: an author without types
    const asCron = (): unknown => cron(value);
    refuses(`cron of ${type}`, asCron, 'SCHEDULE_INVALID', /^schedule must be a text, not /);
    if (value === null) continue;
    // @ts-expect-error: an author without types
    const asZone = (): unknown => cron('@daily', { timeZone: value });
    refuses(`a time zone of ${type}`, asZone, 'SCHEDULE_INVALID', /^timeZone must be a text, not /);
    if (typeof value === 'number') continue;
    // @ts-expect-error: an author without types
    const asEvery = (): unknown => every(value);
    refuses(`every of ${type}`, asEvery, 'SCHEDULE_INVALID', /^every: duration of type /);
  }
});
