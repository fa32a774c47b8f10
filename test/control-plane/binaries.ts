/**
 * Finds the programs of a Kubernetes control plane, or builds them once into a cache outside the checkout. Run it, or
 * import it.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findGo, goBuild, type GoBuild } from './go-toolchain.ts';

export interface Binaries {
  readonly apiServer: string;
  readonly kubectl: string;
  readonly etcd: string;
}

/** The folder of ready programs that every operator project honours. */
const ASSETS_VARIABLE = 'KUBEBUILDER_ASSETS';
const KUBERNETES_MODULE = join(import.meta.dirname, 'go');
const ETCD_MODULE = join(KUBERNETES_MODULE, 'etcd');
const CACHE = join(homedir(), '.cache', 'tidemill', 'control-plane');
const LOOK_EVERY_MS = 500;

/**
 * @returns the programs' paths
 * @throws Error with one sentence that says what to install
 */
export async function controlPlaneBinaries(): Promise<Binaries> {
  const assets = process.env[ASSETS_VARIABLE];
  if (assets !== undefined && assets !== '') return fromAssets(assets);
  const folder = cacheFolder();
  if (!existsSync(folder)) await withLock(`${folder}.lock`, () => buildInto(folder));
  return inFolder(folder);
}

function inFolder(folder: string): Binaries {
  return {
    apiServer: join(folder, 'kube-apiserver'),
    kubectl: join(folder, 'kubectl'),
    etcd: join(folder, 'etcd'),
  };
}

function fromAssets(folder: string): Binaries {
  const binaries = inFolder(folder);
  for (const binary of [binaries.apiServer, binaries.kubectl, binaries.etcd]) {
    try {
      accessSync(binary, constants.X_OK);
    } catch (cause) {
      throw new Error(
        `${ASSETS_VARIABLE} must name a folder with kube-apiserver, kubectl and etcd, but ${binary} is no program: mend it or unset it`,
        { cause },
      );
    }
  }
  return binaries;
}

function requiredVersion(moduleFolder: string, name: string): string {
  const text = readFileSync(join(moduleFolder, 'go.mod'), 'utf8');
  const version = new RegExp(`^require ${name.replaceAll('.', '\\.')} (v\\S+)$`, 'm').exec(text)?.[1];
  if (version === undefined) throw new Error(`${moduleFolder}/go.mod requires no ${name}`);
  return version;
}

function versions(): { readonly kubernetes: string; readonly etcd: string } {
  return {
    kubernetes: requiredVersion(KUBERNETES_MODULE, 'k8s.io/kubernetes'),
    etcd: requiredVersion(ETCD_MODULE, 'go.etcd.io/etcd/server/v3'),
  };
}

/** One folder for each state of the pinned modules, so that a change of any pin builds anew. */
function cacheFolder(): string {
  const hash = createHash('sha256').update(`${process.platform}-${process.arch}`);
  for (const module of [KUBERNETES_MODULE, ETCD_MODULE])
    for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  const { kubernetes, etcd } = versions();
  return join(CACHE, `${kubernetes}-${etcd}-${hash.digest('hex').slice(0, 12)}`);
}

function buildSteps(): readonly (Omit<GoBuild, 'output'> & { readonly name: string })[] {
  const { kubernetes } = versions();
  const [major, minor] = kubernetes.slice(1).split('.');
  const version = 'k8s.io/component-base/version';
  // Without these the server calls itself v0.0.0, which clients take for a very old one.
  const flags = `-X ${version}.gitVersion=${kubernetes} -X ${version}.gitMajor=${String(major)} -X ${version}.gitMinor=${String(minor)}`;
  const kubernetesStep = (name: string) => ({
    name,
    module: KUBERNETES_MODULE,
    package: `k8s.io/kubernetes/cmd/${name}`,
    flags,
  });
  return [
    kubernetesStep('kube-apiserver'),
    kubernetesStep('kubectl'),
    { name: 'etcd', module: ETCD_MODULE, package: 'go.etcd.io/etcd/server/v3', flags: '' },
  ];
}

async function buildInto(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const go = await findGo(KUBERNETES_MODULE);
  const { kubernetes, etcd } = versions();
  say(
    `building kube-apiserver and kubectl ${kubernetes} and etcd ${etcd} from Go modules: once, about 5 minutes on 2 cores`,
  );
  // Beside its final place, so that it can be moved there whole: what is in the cache is complete.
  const work = await mkdtemp(`${folder}.`);
  try {
    const steps = buildSteps();
    for (const [index, step] of steps.entries()) {
      say(`  ${index + 1} of ${steps.length}: ${step.name}`);
      const startMs = performance.now();
      await goBuild(go, { ...step, output: join(work, step.name) });
      say(
        `  ${index + 1} of ${steps.length}: ${step.name} done in ${Math.round((performance.now() - startMs) / 1_000)} s`,
      );
    }
    await rename(work, folder).catch((error: unknown) => {
      // Another build was there first: what it made is the same.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Two test runs may want the same build: the second waits for the first. */
async function withLock(lock: string, work: () => Promise<void>): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  for (let told = false; !(await take(lock)); told = true) {
    if (!told)
      say(`another process is building the control plane: waiting for it (${lock.replace(homedir(), '~')})`);
    await delay(LOOK_EVERY_MS);
  }
  try {
    await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''));
  // A holder that was killed left its lock; between its creation and its first byte a lock names nobody.
  if (holder > 0 && !isAlive(holder)) await rm(lock, { force: true });
  return false;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await controlPlaneBinaries())}\n`);
