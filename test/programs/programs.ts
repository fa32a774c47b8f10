/**
 * Finds the programs that tests run (Kubernetes, Helm, …), or builds them once from pinned Go modules into a cache
 * outside the checkout. Import it, or run it with names of programs: it prints their paths.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isProgram } from '../support/on-path.ts';
import { buildOnce, say } from './build-once.ts';
import {
  isProgramName,
  pinnedModule,
  type PinnedModule,
  planOf,
  type ProgramName,
  programNames,
  type ProgramPlan,
} from './catalogue.ts';
import { findGo, goBuild, goEnv } from './go-toolchain.ts';

export type { ProgramName } from './catalogue.ts';

const run = promisify(execFile);
/** The folder of ready programs that every operator project honours. */
const ASSETS_VARIABLE = 'KUBEBUILDER_ASSETS';
/** What a control plane without nodes needs, and what a folder of ready programs has. */
export const CONTROL_PLANE_PROGRAMS = ['kube-apiserver', 'kubectl', 'etcd'] as const;
const CACHE = join(homedir(), '.cache', 'tidemill', 'programs');

/**
 * @returns absolute path of the program; the first time that takes its build
 * @throws Error with one sentence that says what to install
 */
export async function program(name: ProgramName): Promise<string> {
  const assets = assetsFor(name);
  if (assets !== undefined) return fromAssets(assets, name);
  const plan = planOf(name);
  const folder = join(CACHE, plan.key);
  await buildOnce(folder, (work) => build(plan, join(work, name)));
  return join(folder, name);
}

/** As `program`, for several: one after the other, because a build takes every core. */
export async function programs<const Name extends ProgramName>(
  names: readonly Name[],
): Promise<Readonly<Record<Name, string>>>;
export async function programs(names: readonly ProgramName[]): Promise<Readonly<Record<string, string>>> {
  const missing = names.filter(
    (name) => assetsFor(name) === undefined && !existsSync(join(CACHE, planOf(name).key)),
  );
  if (missing.length > 1) say(`programs to build for the tests, once: ${missing.join(', ')}`);
  const paths: Record<string, string> = {};
  for (const name of names) paths[name] = await program(name);
  return paths;
}

/** @returns folder of the sources of a pinned module, for what is in it beside programs; fetched if need be */
export async function moduleSources(module: PinnedModule): Promise<string> {
  const { folder, path } = pinnedModule(module);
  const go = await findGo(folder);
  const options = { cwd: folder, env: goEnv() };
  await run(go, ['mod', 'download', path], options);
  const { stdout } = await run(go, ['list', '-m', '-f', '{{.Dir}}', path], options);
  return stdout.trim();
}

/** Folder of ready programs that this one is taken from. */
function assetsFor(name: ProgramName): string | undefined {
  const isControlPlane = CONTROL_PLANE_PROGRAMS.some((known) => known === name);
  return (isControlPlane && process.env[ASSETS_VARIABLE]) || undefined;
}

function fromAssets(folder: string, name: ProgramName): string {
  const path = join(folder, name);
  if (isProgram(path)) return path;
  throw new Error(
    `${ASSETS_VARIABLE} must name a folder with ${CONTROL_PLANE_PROGRAMS.join(', ')}, but ${path} is no program: mend it or unset it`,
  );
}

async function build(plan: ProgramPlan, output: string): Promise<void> {
  const go = await findGo(plan.folder);
  say(
    `building ${plan.name} ${plan.version} from its Go module: once, about ${plan.buildSeconds} s on two cores`,
  );
  const startMs = performance.now();
  await goBuild(go, { module: plan.folder, package: plan.package, flags: plan.flags, output });
  say(`built ${plan.name} in ${Math.round((performance.now() - startMs) / 1_000)} s`);
}

async function main(names: readonly string[]): Promise<void> {
  const wanted = names.filter(isProgramName);
  if (names.length === 0 || wanted.length < names.length) {
    say(`usage: node test/programs/programs.ts PROGRAM...\nprograms: ${programNames().join(' ')}`);
    process.exitCode = 2;
    return;
  }
  for (const path of Object.values(await programs(wanted))) process.stdout.write(`${path}\n`);
}

if (import.meta.main) await main(process.argv.slice(2));
