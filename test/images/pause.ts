/** The image in which the sandbox of every pod of the test cluster runs: one static program and nothing else. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildOnce, say } from '../programs/build-once.ts';
import { buildArchive } from './buildah.ts';
import { ensureImageTools } from './machine.ts';
import { CACHE, hashOf } from './node-base.ts';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, 'pause.c');
const DOCKERFILE = `FROM scratch
COPY pause /pause
USER 65535:65535
ENTRYPOINT ["/pause"]
`;

/** @returns path of the image as an OCI archive, built once with gcc and buildah */
export async function pauseArchive(name: string): Promise<string> {
  const folder = join(CACHE, `pause-${hashOf(name, await readFile(SOURCE, 'utf8'), DOCKERFILE)}`);
  await buildOnce(folder, async (work) => {
    ensureImageTools();
    say(`building the image ${name}`);
    const context = await mkdtemp(join(tmpdir(), 'tidemill-pause-'));
    try {
      const binary = join(context, 'pause');
      await run('gcc', ['-static', '-Os', '-Wall', '-Werror', '-o', binary, SOURCE]);
      const dockerfile = join(context, 'Dockerfile');
      await writeFile(dockerfile, DOCKERFILE);
      await buildArchive({ name, context, dockerfile, args: {}, archive: join(work, 'image.tar') });
    } finally {
      await rm(context, { recursive: true, force: true });
    }
  });
  return join(folder, 'image.tar');
}
