/** Manifests that are wrong or hostile, as they are sent to the API server: YAML text, and what must be named in the answer, whoever gives it. */
import { stringify } from 'yaml';

export interface ManifestCase {
  readonly what: string;
  readonly name: string;
  readonly yaml: string;
  /**
   * Must fit what the API server says when it refuses, or the message of the condition when it does not.
   * `undefined`: there is nothing wrong with it; it must be served.
   */
  readonly names?: RegExp;
}

const EVERY = { task: 'work', every: '1h', params: { ms: 1 } };
const CRON = { task: 'work', schedule: '0 6 * * *', params: { ms: 1 } };

const BOMB = ['a: &a [x, x, x, x, x, x, x, x, x]']
  .concat(Array.from('abcdefgh', (name, at) => `n${at}: &${'bcdefghi'[at]} [${`*${name},`.repeat(9)}]`))
  .join('\n');

interface Body {
  readonly what: string;
  /** What follows the head. */
  readonly text: string;
  readonly names: RegExp | undefined;
}

const withSpec = (what: string, spec: unknown, names: RegExp): Body => ({
  ...{ what, names },
  text: stringify({ spec }, { version: '1.1', aliasDuplicateObjects: false }),
});

/** As text: for what no serializer would write. */
const withText = (what: string, text: string, names: RegExp | undefined): Body => ({ what, text, names });

const cut = (text: string): string =>
  text.length <= 40 ? JSON.stringify(text) : `${text.length} characters`;

const CRON_TEXTS: readonly string[] = [
  ...['', '   ', '* * * *', '* * * * * *', '* * * * * * * *', '60 * * * *', '* 24 * * *', '* * 0 * *'],
  ...['* * 32 * *', '* * * 13 *', '* * * * 8', '*/0 * * * *', '*/-1 * * * *', '5-1 * * * *', '5/70 * * * *'],
  ...['1,,2 * * * *', '1.5 * * * *', '1e1 * * * *', '0x10 * * * *', '+5 * * * *', '５ * * * *'],
  ...['* * * *\0 *', '0 6 * * *\n', '@reboot', '@every 5m', 'TZ=UTC * * * * *', 'CRON_TZ=UTC 0 6 * * *'],
  ...['H * * * *', '* * * * MON-XYZ', '__proto__', 'constructor', '0 0 31 2 *', '0 0 30 2 *', '0 0 31 4,6 *'],
  ...['0 6 ? * *', '0 6 L * *', '0 6 15W * *', '0 6 * * 1#2', '0 6 * * 5L', '\u202e0 6 * * *', '🕕 * * * *'],
  ...['*'.repeat(100_000), `${'1,'.repeat(20_000)}1 * * * *`, '$(id) * * * *', "'; DROP TABLE x; -- * * *"],
];
const ZONES: readonly string[] = [
  ...['Foo/Bar', 'local', '', '../../etc/passwd', '+05:30', 'UTC+3', 'Europe/Atlantis', 'constructor'],
  ...['__proto__', 'Europe/Rome\0', ' Europe/Rome', 'Z'.repeat(10_000), '\u202eUTC', 'file:///etc/localtime'],
];
const DURATIONS: readonly string[] = [
  ...['', '0s', '-1s', '1ms', '1e9h', 'NaN', '10', '1h30', 'PT1H', '9000h', `${2 ** 53}s`, '1d', '1.5s'],
  ...['１s', '1 s', '__proto__', '9'.repeat(10_000), '1s\n', 'Infinity', '0x10s'],
];
const TASKS: readonly string[] = [
  ...['', '../x', 'a/b', 'file:///etc/passwd', 'node:fs', '__proto__', '-a', 'A', 'a\0b', '\u001b[31m'],
  ...['\u202ea', 'a'.repeat(200), 'data:text/javascript,1'],
];

const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const keys = (many: number): object =>
  Object.fromEntries(Array.from({ length: many }, (_, at) => [`k${at}`, at]));

export function manifestCases(): readonly ManifestCase[] {
  return bodies().map(({ what, text, names }, index) => {
    const name = `case-${index}`;
    const head = stringify({
      apiVersion: 'tidemill.dev/v1alpha1',
      kind: 'ScheduledTask',
      metadata: { name },
    });
    return { what, name, yaml: `${head}${text}\n`, ...(names !== undefined && { names }) };
  });
}

function bodies(): readonly Body[] {
  const spec = (more: object): object => ({ ...EVERY, ...more });
  const params = (what: string, text: string, names: RegExp): Body =>
    withText(what, `spec: { task: work, every: 1h, params: ${text} }`, names);
  return [
    ...CRON_TEXTS.map((schedule) =>
      withSpec(`schedule ${cut(schedule)}`, { ...CRON, schedule }, /spec\.schedule/),
    ),
    ...ZONES.map((timeZone) => withSpec(`zone ${cut(timeZone)}`, { ...CRON, timeZone }, /spec\.timeZone/)),
    ...DURATIONS.map((every) => withSpec(`every ${cut(every)}`, { ...EVERY, every }, /spec\.every/)),
    ...TASKS.map((task) => withSpec(`task ${cut(task)}`, spec({ task }), /spec\.task/)),

    withSpec('schedule and every', { ...CRON, every: '1h' }, /spec.*not both/),
    withSpec('neither', { task: 'work' }, /spec.*one of schedule or every/),
    withText('no spec', '', /spec/),
    withText('an empty spec', 'spec: {}', /spec\.task/),
    withSpec('a list for a spec', [1], /spec/),
    withSpec('a text for a spec', 'every 1h', /spec/),
    withSpec('an unknown task', spec({ task: 'nobody-has-this' }), /spec\.task|nobody-has-this/),
    withSpec('an unknown field', spec({ maxConcurrency: 1 }), /spec\.maxConcurrency/),
    withSpec('an unknown field within', spec({ retry: { limit: 1 } }), /spec\.retry\.limit/),
    withSpec('a text for suspend', spec({ suspend: 'yes' }), /spec\.suspend/),
    withSpec('a negative deadline', spec({ startingDeadlineSeconds: -1 }), /spec\.startingDeadlineSeconds/),
    withSpec('a fraction of a deadline', spec({ startingDeadlineSeconds: 1.5 }), /startingDeadlineSeconds/),
    withSpec(
      'a deadline of 2^53',
      spec({ startingDeadlineSeconds: 2 ** 53 }),
      /spec\.startingDeadlineSeconds/,
    ),
    withSpec('a timeout of 0', spec({ timeoutSeconds: 0 }), /spec\.timeoutSeconds/),
    withSpec('a timeout of 2^31', spec({ timeoutSeconds: 2 ** 31 }), /spec\.timeoutSeconds/),
    withSpec('an unknown priority', spec({ priority: 'urgent' }), /spec\.priority/),
    withSpec('an unknown policy', spec({ concurrencyPolicy: 'Never' }), /spec\.concurrencyPolicy/),
    withSpec('All without Allow', spec({ missedRunPolicy: 'All' }), /spec\.missedRunPolicy/),
    withSpec('a catch-up without All', spec({ maxCatchUp: 5 }), /spec\.maxCatchUp/),
    withSpec('a zone without a schedule', spec({ timeZone: 'Etc/UTC' }), /spec\.timeZone/),
    withSpec('an offset of a schedule', { ...CRON, offset: '5s' }, /spec\.offset/),
    withSpec('a jitter as long as every', spec({ jitter: '1h' }), /spec\.jitter/),
    withSpec(
      'an end before the start',
      spec({ startTime: '2030-01-01T00:00:00Z', endTime: '2029-01-01T00:00:00Z' }),
      /spec\.endTime/,
    ),
    withSpec('a start that is no date', spec({ startTime: '2026-02-30T00:00:00Z' }), /spec\.startTime/),
    withSpec(
      'a start with an offset of a day',
      spec({ startTime: '2026-01-01T00:00:00+24:00' }),
      /spec\.startTime/,
    ),
    withSpec('a queue that breaks out of its tag', spec({ queue: 'a}{b' }), /spec\.queue/),
    withSpec('a queue with a path', spec({ queue: '../a' }), /spec\.queue/),
    withSpec('retries without end', spec({ retry: { attempts: 1e6 } }), /spec\.retry\.attempts/),
    withText('a field that stands twice', 'spec: { task: work, every: 1h, every: 2h }', /every|duplicate/),
    withText('a bomb of aliases', BOMB, /excessive aliasing|yaml|unknown field/i),
    withText('yes without quotes', 'spec: { task: work, every: 1h, suspend: "on" }', /spec\.suspend/),
    withText('a number for every', 'spec: { task: work, every: 3600 }', /spec\.every/),
    withText('tabs', 'spec:\n\ttask: work', /yaml/),
    withText(
      'a second document',
      'spec: { task: work, every: 1h, params: { ms: 1 } }\n---\nspec: 1',
      undefined,
    ),

    params('params of the wrong type', '[1]', /spec\.params/),
    params('params that the task refuses', '{ ms: soon }', /params.*ms/),
    params('params that lack a key', '{}', /params.*ms/),
    params('params with a key too many', '{ ms: 1, more: 1 }', /params.*more/),
    params('params of 257 KiB', `{ a: "${'x'.repeat(257 * 1_024)}" }`, /spec\.params/),
    params('params of 1.4 MB', `{ a: "${'x'.repeat(1_400_000)}" }`, /too large|spec\.params|limit/i),
    params('10,000 keys', JSON.stringify(keys(10_000)), /spec\.params/),
    params('65 keys', JSON.stringify(keys(65)), /spec\.params/),
    params('33 levels', `{ a: ${deep(33)} }`, /spec\.params/),
    params('5,000 levels', `{ a: ${deep(5_000)} }`, /spec\.params|depth|nest/),
    params('100,000 levels', `{ a: ${deep(100_000)} }`, /spec\.params|depth|nest/),
    params('__proto__', '{ __proto__: { polluted: 1 } }', /spec\.params/),
    params('constructor', '{ constructor: { prototype: { polluted: 1 } } }', /spec\.params/),
    params('prototype, deep', '{ a: { b: [{ prototype: { polluted: 1 } }] } }', /spec\.params/),
    params('a NUL', '{ a: "\\0" }', /params/),
    params('2^53 + 1', '{ ms: 9007199254740993 }', /params/),
    params('1e400', '{ ms: 1e400 }', /params|range|yaml|json/i),
    params('a number that is none', '{ ms: .nan }', /params|nan|yaml|json/i),
    params('text that runs backwards', '{ ms: 1, "\\u202eevil": 1 }', /params/),
    params('an escape sequence', '{ ms: "\\e[31mred" }', /params.*ms/),
    params('a fake log line', `{ ms: "\\n{\\"level\\":\\"error\\"}" }`, /params.*ms/),
  ];
}
