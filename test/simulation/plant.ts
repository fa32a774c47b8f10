/**
 * Plants a bug in this process: one text of a source file is replaced as it is loaded. So a rule is switched off where it
 * stands, and nothing in `src` knows of it. To be called before anything of `src` is imported.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { PLANTED, type PlantedBug } from './planted.ts';

const SOURCE = new URL('../../src/', import.meta.url);

export function plantedBug(name: string): PlantedBug {
  const bug = PLANTED.find((one) => one.name === name);
  if (bug === undefined) throw new Error(`no such bug: ${name}`);
  return bug;
}

/** The file with the rule switched off. @throws when the rule does not stand there exactly once: then the bug would be none */
export function sourceWith({ name, file, rule, instead }: PlantedBug): string {
  const source = readFileSync(new URL(file, SOURCE), 'utf8');
  const parts = source.split(rule);
  if (parts.length !== 2)
    throw new Error(`${name}: src/${file} holds ${parts.length - 1} times what is to be replaced: ${rule}`);
  return parts.join(instead);
}

export function plantBug(name: string): void {
  const bug = plantedBug(name);
  const source = sourceWith(bug);
  const url = new URL(bug.file, SOURCE).href;
  registerHooks({
    load: (asked, context, nextLoad) =>
      asked === url ? { format: 'module-typescript', shortCircuit: true, source } : nextLoad(asked, context),
  });
}
