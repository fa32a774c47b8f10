/** The flags of a bench: a few numbers, `--json`, and a `--help` that says what it measures. */
import { parseArgs } from 'node:util';

export interface NumberFlag {
  readonly help: string;
  readonly default: number;
}

export interface Options<Names extends string> {
  readonly json: boolean;
  /** Redis keeps a journal. Always false without that flag. */
  readonly aof: boolean;
  /** The value of a flag. */
  readonly size: (name: Names) => number;
}

/**
 * Prints the help and ends the process when asked to.
 * @param hasAof - false where the bench does not start the Redis, or measures with and without
 * @param short - the defaults with `--short`, where there is such a flag
 */
export function readOptions<Names extends string>(
  bench: string,
  summary: string,
  flags: Readonly<Record<Names, NumberFlag>>,
  {
    hasAof = true,
    short,
  }: { readonly hasAof?: boolean; readonly short?: Readonly<Partial<Record<Names, number>>> } = {},
): Options<Names> {
  const sizes = Object.fromEntries(Object.keys(flags).map((name) => [name, { type: 'string' } as const]));
  const { values } = parseArgs({
    options: {
      ...sizes,
      ...(hasAof ? { aof: { type: 'boolean' } as const } : {}),
      ...(short === undefined ? {} : { short: { type: 'boolean' } as const }),
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const given: Readonly<Record<string, unknown>> = values;
  if (given['help'] === true) {
    console.log(helpText(bench, summary, flags, { hasAof, hasShort: short !== undefined }));
    process.exit(0);
  }
  const defaultOf = (name: Names): number =>
    (given['short'] === true ? short?.[name] : undefined) ?? flags[name].default;
  return {
    json: given['json'] === true,
    aof: given['aof'] === true,
    size: (name) => numberOf(name, given[name] ?? defaultOf(name)),
  };
}

function helpText(
  bench: string,
  summary: string,
  flags: Readonly<Record<string, NumberFlag>>,
  { hasAof, hasShort }: { readonly hasAof: boolean; readonly hasShort: boolean },
): string {
  const rows = [
    ...Object.entries(flags).map(([flag, { help, default: value }]) => [
      `--${flag} <n>`,
      `${help} (default ${value})`,
    ]),
    ...(hasAof ? [['--aof', 'Redis keeps a journal, synced each second (default: it keeps nothing)']] : []),
    ...(hasShort ? [['--short', 'small sizes: shows that it works, and measures little']] : []),
    ['--json', 'the last line is the result as one JSON object'],
    ['--help', 'this text'],
  ];
  const lines = rows.map(([flag = '', help = '']) => `  ${flag.padEnd(22)} ${help}`);
  return `npm run bench:${bench} -- [flags]\n\n${summary}\n\n${lines.join('\n')}`;
}

function numberOf(flag: string, text: unknown): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  process.stderr.write(`--${flag} must be a number above 0, not ${JSON.stringify(text)}\n`);
  process.exit(64);
}

export const ROUNDS: NumberFlag = { help: 'how often each is measured; the median counts', default: 3 };
