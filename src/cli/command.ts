/** How a command is declared: names, help, settings and options as data, and one function that does the work. */
import { type Command, Option } from 'commander';
import type { z } from 'zod';
import {
  type Rule,
  readSettings,
  settingsOf,
  type SettingInfo,
  variableOf,
  variablesOf,
} from '../runtime/config.ts';
import { didYouMean } from '../task/near-names.ts';
import { type CommandHead, sentence } from './command-heads.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Io } from './io.ts';
import { reportError } from './report-error.ts';
import { COMMAND_SETTINGS } from './settings.ts';

/** One call of a command, everything parsed. */
export interface Call<S extends z.ZodObject, O extends z.ZodObject> {
  readonly settings: Readonly<z.output<S>>;
  /** Settings that the user gave, as opposed to defaults, by flag. */
  readonly given: ReadonlySet<string>;
  readonly options: z.output<O>;
  readonly args: readonly string[];
  readonly json: boolean;
  readonly io: Io;
}

export interface OptionDeclaration {
  /** As commander wants it: `-p, --param <key=value>`. */
  readonly flags: string;
  readonly help: string;
  /** May be given several times. */
  readonly repeatable?: boolean;
}

export interface CommandDeclaration<S extends z.ZodObject, O extends z.ZodObject> extends Omit<
  CommandHead,
  'isGroup'
> {
  /** More than the summary, where that is needed. */
  readonly details?: string;
  /** Whole command lines. */
  readonly examples: readonly string[];
  readonly settings: S;
  readonly rules?: readonly Rule[];
  readonly flags?: readonly OptionDeclaration[];
  /** Parses what commander made of `flags`. */
  readonly options: O;
  /** What `--json` prints; part of its help. */
  readonly jsonHelp?: string;
  readonly run: (call: Call<S, O>) => Promise<ExitCode>;
}

/** What the commands share: the world, and where the exit code goes. */
export interface Surroundings {
  readonly io: Io;
  readonly done: (code: ExitCode) => void;
}

/** A command that only holds others. */
export function addGroup(parent: Command, { name, summary }: CommandHead): Command {
  return parent.command(name).summary(summary).description(sentence(summary));
}

export function addCommand<S extends z.ZodObject, O extends z.ZodObject>(
  parent: Command,
  declaration: CommandDeclaration<S, O>,
  surroundings: Surroundings,
): void {
  const { name, summary, details, args = [], examples, settings, flags = [] } = declaration;
  const description = sentence(summary);
  const command = parent
    .command(name)
    .summary(summary)
    .description(details === undefined ? description : `${description}\n\n${details}`);
  for (const [syntax, help] of args) command.argument(syntax, help);
  for (const { flags: syntax, help, repeatable = false } of flags) {
    command.addOption(repeatable ? new Option(syntax, help).argParser(collect) : new Option(syntax, help));
  }
  const settingOptions = settingsOf(settings).map(({ info }) => ({ info, option: settingOption(info) }));
  for (const { option } of settingOptions) command.addOption(option);
  command.option('--json', declaration.jsonHelp ?? 'print JSON for programs');
  const rare = settingOptions.flatMap(({ info }) => (info.rare === true ? [`--${info.flag}`] : []));
  if (rare.length > 0)
    command.addHelpText('after', `\nAlso, described in docs/reference/configuration.md: ${rare.join(', ')}`);
  command.addHelpText('after', `\nExample:\n${examples.map((line) => `  $ ${line}\n`).join('')}`);

  command.action(async () => {
    const opts: Readonly<Record<string, unknown>> = command.opts();
    const flagTexts = Object.fromEntries(
      settingOptions.map(({ info, option }) => [info.flag, textOf(opts[option.attributeName()])]),
    );
    surroundings.done(await runCommand(declaration, { opts, flagTexts, args: command.args }, surroundings));
  });
}

/** What the parser of the command line found. */
interface Found {
  readonly opts: Readonly<Record<string, unknown>>;
  readonly flagTexts: Readonly<Record<string, string | undefined>>;
  readonly args: readonly string[];
}

async function runCommand<S extends z.ZodObject, O extends z.ZodObject>(
  { settings, rules = [], options, run }: CommandDeclaration<S, O>,
  { opts, flagTexts, args }: Found,
  { io }: Surroundings,
): Promise<ExitCode> {
  const json = opts['json'] === true;
  const parsed = options.safeParse(opts);
  if (!parsed.success) {
    io.stderr.write(parsed.error.issues.map(({ message }) => `error: ${message}\n`).join(''));
    return EXIT.usage;
  }
  const { environment, readFile } = io;
  try {
    const knownVariables = variablesOf(Object.values(COMMAND_SETTINGS));
    const sources = { flags: flagTexts, environment, readFile, knownVariables, didYouMean };
    const given = settingsOf(settings).flatMap(({ info }) => {
      const isGiven = flagTexts[info.flag] !== undefined || (environment[variableOf(info)] ?? '') !== '';
      return isGiven ? [info.flag] : [];
    });
    const values = readSettings(settings, rules, sources);
    return await run({ settings: values, given: new Set(given), options: parsed.data, args, json, io });
  } catch (error) {
    return reportError(error, io, json);
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function settingOption(info: SettingInfo): Option {
  const fallback = info.defaultNote ?? info.default;
  const notes = [...(fallback === undefined ? [] : [`default: ${fallback}`]), variableOf(info)];
  const short = info.short === undefined ? '' : `-${info.short}, `;
  const option = new Option(
    `${short}--${info.flag} <${info.argument}>`,
    `${info.help} (${notes.join('; ')})`,
  );
  if (info.rare === true) option.hideHelp();
  return info.list === true ? option.argParser(join) : option;
}

/** Several values of one flag, or one value with commas: the same. */
function join(value: string, previous: unknown): string {
  return typeof previous === 'string' ? `${previous},${value}` : value;
}

function collect(value: string, previous: unknown): readonly unknown[] {
  return Array.isArray(previous) ? [...(previous as readonly unknown[]), value] : [value];
}
