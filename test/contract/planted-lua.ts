/**
 * Bugs planted in the scripts, one text of one file each, which the model must notice. Used by a process that has loaded
 * nothing of `src/broker/redis` yet: its scripts are then read through here.
 */
import { readFileSync as readFile } from 'node:fs';
import { registerHooks } from 'node:module';

export interface PlantedScript {
  readonly name: string;
  readonly what: string;
  /** Below `src/broker/redis/lua/`. */
  readonly file: string;
  readonly rule: string;
  readonly instead: string;
}

export const PLANTED_SCRIPTS: readonly PlantedScript[] = [
  {
    name: 'watermark-unchecked',
    what: 'fire takes slots up to the watermark',
    file: 'fire.lua',
    rule: "if watermark and to <= watermark then return 'd' end",
    instead: '',
  },
  {
    name: 'not-before-unchecked',
    what: 'fire takes slots before the instant from which the spec is in force',
    file: 'fire.lua',
    rule: "if from < schedule.not_before then return 'r;not-before' end",
    instead: '',
  },
  {
    name: 'promoted-early',
    what: 'delayed runs are promoted, and expiring ones expired, before their time',
    file: 'promote.lua',
    rule: "call('ZRANGE', key, '-inf', NOW_TEXT, 'BYSCORE', 'LIMIT', 0, limit)",
    instead: "call('ZRANGE', key, '-inf', '+inf', 'BYSCORE', 'LIMIT', 0, limit)",
  },
  {
    name: 'forbid-ignored',
    what: 'Forbid fires beside a run in flight',
    file: 'fire.lua',
    rule: "if policy == 'F' and is_in_flight(schedule) then return false, 'Overlap' end",
    instead: '',
  },
  {
    name: 'adopt-backwards',
    what: 'an older generation is adopted after a newer one',
    file: 'adopt.lua',
    rule: "if (is_withdrawn or schedule.generation > wanted) and force ~= '1' then",
    instead: "if is_withdrawn and force ~= '1' then",
  },
  {
    name: 'token-unchecked',
    what: 'a settle counts under the token of another hand-out',
    file: 'lib/settle.lua',
    rule: 'if token == group.token then answer =',
    instead: "if token ~= '' then answer =",
  },
  {
    name: 'limit-not-given-back',
    what: 'the limit of a task is not given back when a run of it ends',
    file: 'lib/lanes.lua',
    rule: 'active[task] = math.max(0, before + delta)',
    instead: 'active[task] = math.max(before, before + delta)',
  },
  {
    name: 'neighbours-counted',
    what: 'a death counts for every run that the process held',
    file: 'lib/recovery.lua',
    rule: "run.head.deaths + (run.head.suspect == '1' and 1 or 0)",
    instead: 'run.head.deaths + 1',
  },
  {
    name: 'attempt-used-by-release',
    what: 'a run that is given back has used an attempt',
    file: 'lib/settle.lua',
    rule: 'local change = { attempt = math.max(0, run.head.attempt - 1) }',
    instead: 'local change = {}',
  },
];

/** The only module that reads scripts. */
const READER = new URL('../../src/broker/redis/lua-files.ts', import.meta.url).href;
const IMPORT = "import { readFileSync } from 'node:fs';";

let planted: PlantedScript | undefined;

/** What the scripts are read with once a bug is planted. */
export function readFileSync(url: URL, encoding: 'utf8'): string {
  const text = readFile(url, encoding);
  return planted !== undefined && url.href.endsWith(`/lua/${planted.file}`) ? withBug(text, planted) : text;
}

/** @throws when the rule does not stand there exactly once: then the bug would be none */
export function withBug(text: string, { name, file, rule, instead }: PlantedScript): string {
  const parts = text.split(rule);
  if (parts.length !== 2)
    throw new Error(`${name}: ${file} holds ${parts.length - 1} times what is to be replaced: ${rule}`);
  return parts.join(instead);
}

export function plantScript(name: string): void {
  planted = PLANTED_SCRIPTS.find((bug) => bug.name === name);
  if (planted === undefined) throw new Error(`no such bug: ${name}`);
  const source = readFile(new URL(READER), 'utf8');
  const parts = source.split(IMPORT);
  if (parts.length !== 2) throw new Error(`src/broker/redis/lua-files.ts does not hold: ${IMPORT}`);
  const reading = parts.join(`import { readFileSync } from ${JSON.stringify(import.meta.url)};`);
  registerHooks({
    load: (asked, context, nextLoad) =>
      asked === READER
        ? { format: 'module-typescript', shortCircuit: true, source: reading }
        : nextLoad(asked, context),
  });
}
