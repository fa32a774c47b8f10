/**
 * Packs the package and uses it as a stranger would: in an empty project, through every entry point, as ESM, as
 * CommonJS, from a bundler, with its types, and by its command.
 */
import { spawnSync } from 'node:child_process';
import { buildSync } from 'esbuild';
import { z } from 'zod';
import { checkInit } from './check-init.ts';
import { checkOldNode } from './check-old-node.ts';
import { expect, pack, ROOT, run, say, Stranger } from './stranger.ts';

const { devDependencies } = z
  .object({ devDependencies: z.record(z.string(), z.string()) })
  .parse((await import('../package.json', { with: { type: 'json' } })).default);
const pinned = (name: string): string => `${name}@${devDependencies[name] ?? ''}`;
/** Tools that the stranger need not have. */
const tool = (path: string): string => `${ROOT}/node_modules/${path}`;

const ESM = `import { defineTask, every, cron } from 'tidemill';
     import { connect } from 'tidemill/client';
     import { runTask, createWorld } from 'tidemill/testing';
     import { z } from 'zod';
     const double = defineTask({ name: 'double', params: z.object({ n: z.number() }), run: ({ params }) => params.n * 2 });
     const { result } = await runTask(double, { params: { n: 21 } });
     console.log(result, typeof connect, typeof createWorld, typeof every, typeof cron);`;

const TYPES = `import { defineTask, defineContract } from 'tidemill';
     import { connect, type Client } from 'tidemill/client';
     import { z } from 'zod';
     export const greet = defineTask({ name: 'greet', params: z.object({ name: z.string() }), run: async ({ params }) => params.name.length });
     export async function produce(client: Client): Promise<number> {
       await client.enqueue(greet, { name: 'x' }, { delay: '1s' });
       // @ts-expect-error name is a string
       await client.enqueue(greet, { name: 1 });
       await client.enqueue<typeof greet>('greet', { name: 'x' });
       // @ts-expect-error params are needed
       await client.enqueue(greet);
       return client.enqueueAndWait(greet, { name: 'y' }, { timeout: '5s' });
     }
     void connect; void defineContract;`;

const TYPES_CONFIG = {
  compilerOptions: {
    strict: true,
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
  },
  files: ['types.ts'],
};

const CLIENT = 'console.log(typeof connect);';

/** What the tarball may hold, and what it must. */
const SHIPPED =
  /^package\/(package\.json|LICENSE|README\.md|CHANGELOG\.md|bin\/[\w-]+\.js|crds\/[\w.]+\.yaml|dist\/[\w./-]+\.(js|d\.ts))$/;
const NEEDED = [
  'dist/index.js',
  'dist/index.d.ts',
  'dist/client.d.ts',
  'dist/testing.d.ts',
  'crds/tidemill.dev_scheduledtasks.yaml',
  'LICENSE',
];

function checkTarball(tarball: string): void {
  const files = run('tar', ['-tzf', tarball], ROOT).trim().split('\n');
  const unwanted = files.filter((file) => !SHIPPED.test(file) || /\.test\.|\/test\//.test(file));
  const missing = NEEDED.filter((file) => !files.includes(`package/${file}`));
  if (unwanted.length > 0) throw new Error(`the tarball holds what is not shipped: ${unwanted.join(', ')}`);
  if (missing.length > 0) throw new Error(`the tarball lacks ${missing.join(', ')}`);
  say(`packed ${files.length} files: compiled JavaScript, types and the CRD, no sources, tests and charts`);
}

function checkEntryPoints(project: Stranger): void {
  project.file('esm.mjs', ESM);
  expect(project.node('esm.mjs'), '42 function function function function', 'all three entry points as ESM');
  project.file('client.cjs', `const { connect } = require('tidemill/client'); ${CLIENT}`);
  expect(project.node('client.cjs'), 'function', 'tidemill/client from CommonJS');
  project.file('types.ts', TYPES);
  project.file('tsconfig.json', JSON.stringify(TYPES_CONFIG));
  project.node(tool('typescript/bin/tsc'), '-p', 'tsconfig.json');
  say('types, without skipLibCheck');
}

function checkBundle(project: Stranger): void {
  project.file('bundle-me.mjs', `import { connect } from 'tidemill/client'; ${CLIENT}`);
  // Away from node_modules and from every file of the package: what the client needs is in the bundle.
  using alone = new Stranger('bundle');
  const out = alone.path('out.cjs');
  // Not by its command, which is a script or a binary as npm was told to run install scripts or not.
  buildSync({
    ...{ absWorkingDir: project.folder, entryPoints: ['bundle-me.mjs'], outfile: out },
    ...{ bundle: true, platform: 'node', format: 'cjs', logLevel: 'warning' },
  });
  expect(alone.node(out), 'function', 'tidemill/client from a bundle, alone in a folder');
}

/** The plugin loads the Kubernetes client of the installed package: an import that only the sources know ends here. */
function checkPlugin(project: Stranger): void {
  const args = [
    project.path('node_modules/.bin/kubectl-tidemill'),
    ...['why', 'x', '--kubeconfig', 'none.yaml', '--json'],
  ];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: project.folder, encoding: 'utf8' });
  if (status !== 78 || !stderr.includes('"code":"CONFIG_INVALID"') || !stderr.includes('none.yaml'))
    throw new Error(
      `kubectl-tidemill without a kubeconfig ended with ${status} and said ${JSON.stringify(stderr)}`,
    );
  say('kubectl-tidemill, which says which kubeconfig is not there');
}

using project = new Stranger('package');
const tarball = pack(project);
checkTarball(tarball);
project.install(tarball, pinned('zod'), pinned('@types/node'));
say('installed in an empty project');
checkEntryPoints(project);
checkBundle(project);
const help = project.node('node_modules/tidemill/bin/tidemill.js', '--help');
if (!help.includes('Usage: tidemill')) throw new Error(`tidemill --help printed ${help.slice(0, 200)}`);
say('tidemill --help');
checkPlugin(project);
checkOldNode(project);
await checkInit(project, tarball);
