/** The image that the `Dockerfile` makes, run as a restricted pod would run it: not as root, on a read-only file system. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import PACKAGE from '../../package.json' with { type: 'json' };
import { Container, runContainer, type UnpackedImage, withUnpacked } from '../images/container.ts';
import {
  buildImage,
  commit,
  imageArchive,
  type ImageArchive,
  type OurImage,
  ROOT,
} from '../images/images.ts';
import { RedisServer } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const LABEL = 'org.opencontainers.image.';
const MIB = 1_024 * 1_024;
const BUILD_DEADLINE_MS = 900_000;

interface Opened {
  readonly image: UnpackedImage;
  readonly close: () => Promise<void>;
}

/** Keeps the image unpacked until `close`: several tests look at it. */
async function open(archive: ImageArchive): Promise<Opened> {
  const closing = Promise.withResolvers<undefined>();
  const opened = Promise.withResolvers<UnpackedImage>();
  const done = withUnpacked(archive, async (image) => {
    opened.resolve(image);
    await closing.promise;
  });
  done.catch(opened.reject);
  const image = await opened.promise;
  return {
    image,
    close: async () => {
      closing.resolve(undefined);
      await done;
    },
  };
}

/** Has one of our images open for the tests of a suite. */
function openedFor(name: OurImage): () => UnpackedImage {
  let opened: Opened | undefined;
  before(async () => {
    opened = await open(await imageArchive(name));
  });
  after(() => opened?.close());
  return () => opened?.image ?? assert.fail('the image is open between before and after');
}

/** Command lines of the processes in the container, PID 1 first; not that of the one which looks. */
async function commandLines(container: Container): Promise<readonly string[]> {
  const script =
    'cd /proc; for p in [0-9]*; do [ "$p" = $$ ] || echo "$p $(tr "\\0" " " < $p/cmdline)"; done';
  const listed = await container.exec('sh', '-c', script);
  return listed
    .trim()
    .split('\n')
    .sort((a, b) => Number.parseInt(a) - Number.parseInt(b))
    .map((line) => line.replace(/^\d+ /, '').trim())
    .filter((line) => line !== '');
}

/** Every file and folder below, by its path. */
function below(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
}

async function sizeMiB(folder: string): Promise<number> {
  const { stdout } = await run('du', ['--summarize', '--block-size=1', '--one-file-system', folder]);
  return Number(stdout.split('\t')[0]) / MIB;
}

describe('the image', { timeout: BUILD_DEADLINE_MS }, () => {
  const image = openedFor('tidemill');

  test('says what it is, of which commit, under which licence', () => {
    const { Labels } = image().config;
    assert.equal(Labels[`${LABEL}title`], 'Tidemill');
    assert.equal(Labels[`${LABEL}version`], PACKAGE.version);
    assert.equal(Labels[`${LABEL}revision`], commit());
    assert.equal(Labels[`${LABEL}licenses`], PACKAGE.license);
    for (const label of ['description', 'source', 'documentation', 'base.name'])
      assert.ok(Labels[`${LABEL}${label}`], `${label} is there`);
  });

  test('runs as a number that is not root, by an entry point in exec form', () => {
    assert.equal(image().config.User, '10001:10001');
    assert.equal(image().config.WorkingDir, '/app');
    assert.deepEqual(image().config.Entrypoint, [
      'tini',
      '--',
      'node',
      '/app/node_modules/tidemill/bin/tidemill.js',
    ]);
  });

  test('prints help when it gets no arguments, and version and commit when asked', async () => {
    const help = await runContainer(image(), {});
    assert.match(help.stdout, /Usage: tidemill/, help.stderr);
    const { code, stdout } = await runContainer(image(), { args: ['--version'] });
    assert.equal(code, 0);
    const short = commit().replace(/^([0-9a-f]{7})[0-9a-f]*/, '$1');
    assert.match(
      stdout.trim(),
      new RegExp(`^${PACKAGE.version} \\(commit ${short}, Node 2\\d\\.\\d+\\.\\d+\\)$`),
    );
  });

  test('can write to /tmp and nowhere else', async () => {
    const touch = (path: string) => runContainer(image(), { command: ['touch', path] });
    assert.equal((await touch('/tmp/x')).code, 0);
    for (const path of ['/x', '/app/x', '/app/node_modules/tidemill/x']) {
      const { code, stderr } = await touch(path);
      assert.notEqual(code, 0, path);
      assert.match(stderr, /Read-only file system|Permission denied/);
    }
  });

  test('holds nothing that its user may change, even on a root that can be written', () => {
    const files = below(join(image().root, 'app'));
    assert.ok(files.length > 1_000, `${files.length} files`);
    const wrong = files.filter((path) => {
      const { uid, mode } = lstatSync(path);
      return uid !== 0 || (!lstatSync(path).isSymbolicLink() && (mode & 0o022) !== 0);
    });
    assert.deepEqual(wrong, []);
  });

  test('holds no sources, tests, source maps and development packages', () => {
    const modules = join(image().root, 'app/node_modules');
    for (const name of [
      'typescript',
      'eslint',
      'croner',
      '@types',
      'tidemill/src',
      'tidemill/test',
      'tidemill/helm',
    ])
      assert.ok(!existsSync(join(modules, name)), name);
    for (const name of ['zod', 'ioredis', '@kubernetes/client-node', 'tidemill/dist', 'tidemill/crds'])
      assert.ok(existsSync(join(modules, name)), name);
    assert.deepEqual(
      below(modules).filter((path) => /\.map$|\/tidemill\/.*\.test\./.test(path)),
      [],
    );
  });

  test('has a controller that starts itself again with the flags of a small heap, as the same process', async () => {
    await using redis = await RedisServer.start();
    const kubeconfig = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'none',
      clusters: [{ name: 'none', cluster: { server: 'http://127.0.0.1:1' } }],
      users: [{ name: 'none', user: {} }],
      contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
    });
    const words = [
      ...image().config.Entrypoint,
      'controller',
      '--kubeconfig',
      '/tmp/kubeconfig',
      '--http-port',
      '0',
    ];
    const script = `printf %s '${kubeconfig}' > /tmp/kubeconfig; exec ${words.join(' ')} --redis ${redis.url}`;
    await using container = await Container.start(image(), { command: ['sh', '-c', script] });
    const lines = await until(
      'the controller runs with --max-semi-space-size',
      async () => {
        const found = await commandLines(container).catch(() => []);
        return found.some((line) => line.includes('--max-semi-space-size')) && found;
      },
      { describe: () => container.output },
    );
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.match(lines[0] ?? '', /^tini -- node /);
    await until('the controller has begun', () => container.output.includes('{"level"'), {
      describe: () => container.output,
    });
    await container.signal('TERM');
    assert.equal((await container.ended).code, 0, container.output);
  });

  test('is small over its base', async () => {
    const base = await open(await imageArchive('node'));
    try {
      const [whole, below_] = [await sizeMiB(image().root), await sizeMiB(base.image.root)];
      const over = whole - below_;
      process.stdout.write(`image: ${whole.toFixed(1)} MiB, ${over.toFixed(1)} MiB over its base\n`);
      assert.ok(over > 5 && over < 80, `${over.toFixed(1)} MiB over the base`);
    } finally {
      await base.close();
    }
  });
});

describe('a worker image', { timeout: BUILD_DEADLINE_MS }, () => {
  const image = openedFor('worker');

  test('is a Dockerfile of less than ten lines', () => {
    const lines = readFileSync(join(ROOT, 'examples/worker/Dockerfile'), 'utf8').trim().split('\n');
    assert.ok(lines.length < 10);
  });

  test('loads its tasks and finds them right', async () => {
    const { code, stdout, stderr } = await runContainer(image(), {
      args: ['doctor', '--tasks', 'src/tasks.ts'],
    });
    assert.equal(code, 0, stdout + stderr);
    const here = ['run', 'count-primes', '-p', 'below=100', '--here', '--json', '--tasks', 'src/tasks.ts'];
    const ran = await runContainer(image(), { args: here });
    assert.match(ran.stdout, /"count":25/, ran.stderr);
  });

  test('runs tasks of both kinds under tini, without npm, and ends cleanly at SIGTERM', async () => {
    await using redis = await RedisServer.start();
    const args = [...image().config.Cmd, '--redis', redis.url, '--http-port', '0', '--cpu-concurrency', '1'];
    await using consumer = await Container.start(image(), { args });
    const start = (...words: readonly string[]) =>
      runContainer(image(), { args: ['run', ...words, '--wait', '--json', '--redis', redis.url] });
    const counted = await start('count-primes', '-p', 'below=1000');
    assert.match(counted.stdout, /"count":168/, counted.stderr + consumer.output);
    const checked = await start('check-site', '-p', 'url=http://127.0.0.1:1/', '-p', 'expectedStatus=200');
    assert.match(checked.stdout + checked.stderr, /fetch failed/i);
    const [first = '', ...others] = await commandLines(consumer);
    assert.match(first, /^tini -- /);
    assert.ok(others.length >= 2, 'the consumer and a child');
    assert.deepEqual(
      others.filter((line) => /\bnpm\b/.test(line)),
      [],
    );
    await consumer.signal('TERM');
    const { code, stdout } = await consumer.ended;
    assert.equal(code, 0, stdout);
  });

  test('brings packages of its own by the Dockerfile that its README shows', async () => {
    const context = mkdtempSync(join(tmpdir(), 'tidemill-worker-'));
    try {
      const readme = readFileSync(join(ROOT, 'examples/worker/README.md'), 'utf8');
      writeFileSync(join(context, 'Dockerfile'), /```dockerfile\n([\s\S]*?)```/.exec(readme)?.[1] ?? '');
      await writeWorkerWithPackage(context);
      const built = await buildImage({
        name: 'localhost/worker-with-package:test',
        context,
        args: { TIDEMILL_IMAGE: await imageArchive('tidemill') },
      });
      await withUnpacked(built, async (unpacked) => {
        const args = ['run', 'spell', '--here', '--json', '--tasks', 'src/tasks.ts'];
        const { stdout, stderr } = await runContainer(unpacked, { args });
        assert.match(stdout, /"spelled":"1 minute"/, stderr);
      });
    } finally {
      rmSync(context, { recursive: true });
    }
  });
});

/** A worker whose task imports a package that is neither Tidemill nor zod. */
async function writeWorkerWithPackage(context: string): Promise<void> {
  const dependencies = { ms: '2.1.3' };
  writeFileSync(
    join(context, 'package.json'),
    JSON.stringify({ name: 'worker', private: true, type: 'module', dependencies }),
  );
  mkdirSync(join(context, 'src'));
  writeFileSync(
    join(context, 'src/tasks.ts'),
    `import ms from 'ms';
     import { defineTask } from 'tidemill';
     export const spell = defineTask({ name: 'spell', run: () => ({ spelled: ms(60_000, { long: true }) }) });`,
  );
  const lock = ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund'];
  await run('npm', lock, { cwd: context });
}
