/** Runs an image as a pod under the restricted Pod Security settings would run it, by runc and without a cluster. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { withMounted } from './buildah.ts';
import type { ImageArchive } from './images.ts';

const run = promisify(execFile);

const Configuration = z.object({
  Entrypoint: z.array(z.string()).default([]),
  Cmd: z.array(z.string()).default([]),
  Env: z.array(z.string()).default([]),
  Labels: z.record(z.string(), z.string()).default({}),
  User: z.string().default(''),
  WorkingDir: z.string().default('/'),
});
const Inspected = z.object({ OCIv1: z.object({ config: Configuration }) });

export interface UnpackedImage {
  /** Folder on this machine. */
  readonly root: string;
  readonly config: z.output<typeof Configuration>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Has the image's files in a folder for as long as `work` goes on. */
export function withUnpacked<T>(
  image: ImageArchive,
  work: (unpacked: UnpackedImage) => Promise<T>,
): Promise<T> {
  return withMounted(image, ({ root, configuration }) =>
    work({ root, config: Inspected.parse(configuration).OCIv1.config }),
  );
}

/** One container: its own processes and mounts, this machine's network, a read-only root, no capability, a `/tmp`. */
export class Container implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly #id = `tidemill-${randomBytes(6).toString('hex')}`;
  readonly #folder: string;
  readonly #process: ChildProcess;
  #stdout = '';
  #stderr = '';

  private constructor(folder: string) {
    this.#folder = folder;
    const args = [...this.#root(), 'run', '--bundle', folder, this.#id];
    this.#process = spawn('runc', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()));
    this.#process.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.ended = once(this.#process, 'close').then(([code]: unknown[]) => ({
      code: typeof code === 'number' ? code : null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  /** @param args - as the `args` of a pod's container: in the place of the image's CMD. `command` replaces the entry point. */
  static async start(
    image: UnpackedImage,
    { args, command }: { readonly args?: readonly string[]; readonly command?: readonly string[] } = {},
  ): Promise<Container> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-container-'));
    const words =
      command === undefined
        ? [...image.config.Entrypoint, ...(args ?? image.config.Cmd)]
        : [...command, ...(args ?? [])];
    await writeFile(join(folder, 'config.json'), JSON.stringify(specification(image, words)));
    return new Container(folder);
  }

  /** What it has written so far. */
  get output(): string {
    return this.#stdout + this.#stderr;
  }

  /** Runs a further command in the container. @returns what it wrote to stdout */
  async exec(...command: readonly string[]): Promise<string> {
    return (await run('runc', [...this.#root(), 'exec', this.#id, ...command])).stdout;
  }

  /** To PID 1, as the kubelet does. */
  async signal(name: 'TERM' | 'KILL'): Promise<void> {
    await run('runc', [...this.#root(), 'kill', this.#id, name]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null) await this.signal('KILL').catch(() => undefined);
    await this.ended;
    await run('runc', [...this.#root(), 'delete', '--force', this.#id]).catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }

  #root(): readonly string[] {
    return ['--root', join(this.#folder, 'state')];
  }
}

/** Runs a container to its end. */
export async function runContainer(
  image: UnpackedImage,
  options: Parameters<typeof Container.start>[1],
): Promise<Ended> {
  await using container = await Container.start(image, options);
  return await container.ended;
}

function specification({ root, config }: UnpackedImage, args: readonly string[]): unknown {
  const [uid, gid] = config.User.split(':').map(Number);
  const quiet = ['nosuid', 'noexec', 'nodev'];
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid, gid },
      args,
      env: config.Env,
      cwd: config.WorkingDir,
      capabilities: { bounding: [], effective: [], permitted: [], inheritable: [] },
      noNewPrivileges: true,
    },
    root: { path: root, readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: quiet },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=1777'] },
    ],
    linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'ipc' }, { type: 'uts' }] },
  };
}
