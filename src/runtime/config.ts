/**
 * Reads settings from flags, environment and secret files into one typed, frozen object, and reports every problem at once.
 * What the settings are is data: one zod object per command, each field registered here with its names and default.
 */
import { z } from 'zod';
import { messageOf, type Problem, ProblemsError } from './errors.ts';
import { quoted } from './printable.ts';

/** Variables with this beginning are ours: one that no command knows is a mistake worth stopping for. */
export const VARIABLE_PREFIX = 'TIDEMILL_';
const FILE_SUFFIX = '_FILE';

/** What is known about a setting besides how its text is read. */
export interface SettingInfo {
  /** Long flag without dashes, such as `log-level`. */
  readonly flag: string;
  /** One letter, where other tools of the field have one too: `n`. */
  readonly short?: string;
  /** Stands for the value in help: `url`, `duration`, `n`. */
  readonly argument: string;
  /** Name of the variable without its prefix; default: the flag in capitals. */
  readonly variable?: string;
  readonly help: string;
  /** As a user would write it; absent: the setting is required, or optional by its schema. */
  readonly default?: string;
  /** Shown instead of a default that depends on the machine. */
  readonly defaultNote?: string;
  /** Never shown in a message, and may come from the file that `<variable>_FILE` names. */
  readonly secret?: boolean;
  /** Several values, separated by commas or given by repeating the flag. */
  readonly list?: boolean;
  /** Left out of `--help`; the reference page has it. */
  readonly rare?: boolean;
}

/** Where every setting's schema has its names. */
const settingInfo = z.registry<SettingInfo>();

/** Text as a setting: `read` gives the value, or `undefined` when the text breaks `rule`. */
export function textSetting<T>(info: SettingInfo, rule: string, read: (text: string) => T | undefined) {
  const schema = z.string().transform((text, context) => {
    const value = read(text);
    if (value !== undefined) return value;
    const shown = info.secret === true ? 'what was given' : quoted(text);
    context.addIssue({ code: 'custom', message: `${shown} ${rule}` });
    return z.NEVER;
  });
  return registered(schema, info);
}

/** Registers a schema that reads its own text. */
function registered<S extends z.ZodType>(schema: S, info: SettingInfo): S {
  settingInfo.add(schema, info);
  return schema;
}

/** `textSetting` whose value may be missing. */
export function optionalSetting<T>(info: SettingInfo, rule: string, read: (text: string) => T | undefined) {
  return registered(textSetting(info, rule, read).optional(), info);
}

export function variableOf({ flag, variable }: SettingInfo): string {
  return VARIABLE_PREFIX + (variable ?? flag.toUpperCase().replaceAll('-', '_'));
}

/** The names and the schema of each setting of a command, in order. */
export function settingsOf(
  schema: z.ZodObject,
): readonly { readonly key: string; readonly info: SettingInfo; readonly schema: z.core.$ZodType }[] {
  const shape: Readonly<Record<string, z.core.$ZodType>> = schema.shape;
  return Object.entries(shape).map(([key, field]) => {
    const info = settingInfo.get(field);
    if (info === undefined) throw new TypeError(`setting ${key} is not registered`);
    return { key, info, schema: field };
  });
}

/** A condition on several settings. It is checked whenever those are right, whatever is wrong elsewhere. */
export interface Rule {
  readonly key: string;
  readonly check: (texts: Texts) => string | undefined;
}

/**
 * @param key - the setting that the message is about
 * @param breaks - the message when the rule is broken
 */
export function rule<S extends z.ZodObject>(
  key: string & keyof S['shape'],
  fields: S,
  breaks: (values: z.output<S>) => string | undefined,
): Rule {
  return {
    key,
    check: (texts) => {
      const parsed = fields.safeParse(texts);
      return parsed.success ? breaks(parsed.data) : undefined;
    },
  };
}

export interface SettingSources {
  /** By flag without dashes; wins over the environment. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Throws when the file cannot be read. */
  readonly readFile: (path: string) => string;
  /** Every variable that any command knows. */
  readonly knownVariables: ReadonlySet<string>;
  /** ` (did you mean …?)` for a name that is not known, or nothing. */
  readonly didYouMean: (wanted: string, known: Iterable<string>) => string;
}

type Texts = Readonly<Record<string, string | undefined>>;

interface Source {
  readonly text: string | undefined;
  /** What the user wrote: `--lease`, `TIDEMILL_LEASE` … */
  readonly at: string;
  readonly problem?: Problem;
}

/** @throws ProblemsError CONFIG_INVALID that lists every problem */
export function readSettings<S extends z.ZodObject>(
  schema: S,
  rules: readonly Rule[],
  sources: SettingSources,
): Readonly<z.output<S>> {
  const fields = settingsOf(schema).map((field) => ({ ...field, source: findSource(field.info, sources) }));
  const texts: Texts = Object.fromEntries(fields.map(({ key, source }) => [key, source.text]));
  const problems: Problem[] = fields.flatMap(
    ({ source, info, schema: field }) => source.problem ?? fieldProblems(field, source, info),
  );
  for (const { key, check } of rules) {
    const message = check(texts);
    if (message !== undefined)
      problems.push({ at: fields.find((field) => field.key === key)?.source.at ?? key, message });
  }
  problems.push(...unknownVariables(sources));
  const parsed = schema.safeParse(texts);
  if (problems.length > 0 || !parsed.success)
    throw new ProblemsError('CONFIG_INVALID', 'these settings are wrong:', problems);
  return Object.freeze(parsed.data);
}

function findSource(info: SettingInfo, { flags, environment, readFile }: SettingSources): Source {
  const variable = variableOf(info);
  const flag = flags[info.flag];
  if (flag !== undefined) return { text: flag, at: `--${info.flag}` };
  // A Secret made from a file ends with the file's newline, and a password with it is a wrong one.
  const given = info.secret === true ? environment[variable]?.replace(/[\r\n]+$/, '') : environment[variable];
  // Manifests set variables to '' to mean "not set".
  const text = given === '' ? undefined : given;
  const path = info.secret === true ? environment[variable + FILE_SUFFIX] : undefined;
  if (path === undefined || path === '')
    return { text: text ?? info.default, at: text === undefined ? `--${info.flag}` : variable };
  const at = variable + FILE_SUFFIX;
  if (text !== undefined)
    return {
      text: undefined,
      at,
      problem: { at, message: `is set as well as ${variable}: set one of the two` },
    };
  try {
    return { text: readFile(path).trim(), at };
  } catch (error) {
    return {
      text: undefined,
      at,
      problem: { at, message: `the file ${quoted(path, 200)} cannot be read: ${messageOf(error)}` },
    };
  }
}

function fieldProblems(field: z.core.$ZodType, { text, at }: Source, info: SettingInfo): readonly Problem[] {
  const result = z.safeParse(field, text);
  if (result.success) return [];
  if (text === undefined) {
    const file =
      info.secret === true ? ` (or ${variableOf(info)}${FILE_SUFFIX}, the path of a file that holds it)` : '';
    return [
      {
        at,
        message: `is required: give --${info.flag} <${info.argument}> or set ${variableOf(info)}${file}`,
      },
    ];
  }
  return result.error.issues.map(({ message }) => ({ at, message }));
}

/**
 * Variables that Kubernetes puts into every pod for each Service of its namespace: with one named `tidemill-redis` they begin
 * like ours. Source: the Kubernetes documentation on accessing Services, "Environment variables".
 */
function isServiceLink(name: string, value: string): boolean {
  if (/_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name))
    return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value);
}

function unknownVariables({ environment, knownVariables, didYouMean }: SettingSources): readonly Problem[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith(VARIABLE_PREFIX) && !knownVariables.has(name))
    .filter((name) => !isServiceLink(name, environment[name] ?? ''))
    .sort()
    .map((name) => ({
      at: name,
      message: `no such setting${didYouMean(name, knownVariables)}: correct the name or unset it`,
    }));
}

/** Every variable that these schemas read, `_FILE` ones included. */
export function variablesOf(schemas: Iterable<z.ZodObject>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const schema of schemas) {
    for (const { info } of settingsOf(schema)) {
      names.add(variableOf(info));
      if (info.secret === true) names.add(variableOf(info) + FILE_SUFFIX);
    }
  }
  return names;
}
