/** Reads schedules of files, folders and code for the commands and for the engine. */
import { resolve } from 'node:path';
import { ManifestFiles } from '../controller/manifest-files.ts';
import { exportSchedules } from '../resource/export.ts';
import {
  type ManifestOptions,
  type ParsedManifests,
  type ParsedObject,
  parseManifests,
} from '../resource/manifest.ts';
import { parseScheduledTask } from '../resource/scheduled-task.ts';
import { type Problem, ProblemsError } from '../runtime/errors.ts';
import type { TaskRegistry } from '../task/registry.ts';
import type { Io } from './io.ts';

/**
 * Schedules in code as objects, as if they had been exported and applied.
 * @throws ProblemsError MANIFEST_INVALID
 */
export function codeObjects(registry: TaskRegistry, namespace: string): readonly ParsedObject[] {
  const problems: Problem[] = [];
  const objects = exportSchedules(registry.all(), namespace).flatMap((exported): readonly ParsedObject[] => {
    const at = `schedule in code of task ${exported.spec.task}`;
    const parsed = parseScheduledTask(exported, 'refuse');
    if (parsed.kind === 'object')
      return [{ namespace, name: exported.metadata.name, spec: parsed.object.spec, at }];
    problems.push(...parsed.problems.map(({ message }) => ({ at, message })));
    return [];
  });
  if (problems.length > 0)
    throw new ProblemsError('MANIFEST_INVALID', 'these schedules in code are wrong:', problems);
  return objects;
}

/** Reads files and folders once. Never throws: what cannot be read is a problem. */
export async function checkManifests(
  paths: readonly string[],
  { cwd, clock }: Io,
  options?: ManifestOptions,
): Promise<ParsedManifests> {
  const files = new ManifestFiles(
    paths.map((path) => resolve(cwd, path)),
    (text, file) => parseManifests(text, file, options),
  );
  return files.scan(clock.monotonic());
}

/** @throws ProblemsError MANIFEST_INVALID that lists every problem of every file */
export async function readManifests(
  paths: readonly string[],
  io: Io,
  options?: ManifestOptions,
): Promise<readonly ParsedObject[]> {
  const { objects, problems } = await checkManifests(paths, io, options);
  if (problems.length > 0)
    throw new ProblemsError('MANIFEST_INVALID', 'these manifests are wrong:', problems);
  return objects;
}
