/**
 * Packs the package and uses it as a stranger would: in an empty project, through every entry point, as ESM, as
 * CommonJS, from a bundler, with its types, and by its command.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { checkInit } from './check-init.ts';
import { checkOldNode } from './check-old-node.ts';
import { expect, pack, ROOT, run, say, Stranger } from './stranger.ts';

const manifest = z
  .object({
    peerDependencies: z.object({ zod: z.string() }),
    devDependencies: z.record(z.string(), z.string()),
  })
  .parse((await import('../package.json', { with: { type: 'json' } })).default);
const versionOf = (name: string): string => manifest.devDependencies[name] ?? '';

function checkTarball(tarball: string): void {
  const listed = run('tar', ['-tzf', tarball], ROOT);
  for (const unwanted of ['package/src/', 'package/test/', 'package/.ci/', 'package/examples/']) {
    if (listed.includes(unwanted)) throw new Error(`the tarball holds ${unwanted}`);
  }
  say(`packed ${listed.trim().split('\n').length} files`);

  file('package.json', JSON.stringify({ name: 'stranger', private: true, type: 'module' }));
  sh('npm', [
    'install',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    `./${tarball}`,
    `zod@${versionOf('zod')}`,
    `@types/node@${versionOf('@types/node')}`,
  ]);
  say('installed in an empty project');

  file(
    'esm.mjs',
    `import { defineTask, every, cron } from 'tidemill';
     import { connect } from 'tidemill/client';
     import { runTask, createWorld } from 'tidemill/testing';
     import { z } from 'zod';
     const double = defineTask({ name: 'double', params: z.object({ n: z.number() }), run: ({ params }) => params.n * 2 });
     const { result } = await runTask(double, { params: { n: 21 } });
     console.log(result, typeof connect, typeof createWorld, typeof every, typeof cron);`,
  );
  expect(node('esm.mjs'), '42 function function function function', 'all three entry points as ESM');

  file('client.cjs', `const { connect } = require('tidemill/client'); console.log(typeof connect);`);
  expect(node('client.cjs'), 'function', 'tidemill/client from CommonJS');

  file('bundle-me.mjs', `import { connect } from 'tidemill/client'; console.log(typeof connect);`);
  sh(process.execPath, [
    join(root, 'node_modules/esbuild/bin/esbuild'),
    'bundle-me.mjs',
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--outfile=bundle/out.cjs',
    '--log-level=warning',
  ]);
  // Away from node_modules and from every file of the package: what the client needs is in the bundle.
  const alone = mkdtempSync(join(tmpdir(), 'tidemill-bundle-'));
  sh('cp', [join(project, 'bundle/out.cjs'), alone]);
  expect(
    sh(process.execPath, ['out.cjs'], alone),
    'function',
    'tidemill/client from a bundle, alone in a folder',
  );
  rmSync(alone, { recursive: true });

  file(
    'types.ts',
    `import { defineTask, defineContract } from 'tidemill';
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
     void connect; void defineContract;`,
  );
  file(
    'tsconfig.json',
    JSON.stringify({
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
    }),
  );
  sh(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json']);
  say('types, without skipLibCheck');

  const help = node('node_modules/tidemill/bin/tidemill.js', '--help');
  if (!help.includes('Usage: tidemill')) throw new Error(`tidemill --help printed ${help.slice(0, 200)}`);
  say('tidemill --help');

  mkdirSync(join(project, 'worker'));
  sh(
    process.execPath,
    [join(project, 'node_modules/tidemill/bin/tidemill.js'), 'init'],
    join(project, 'worker'),
  );
  say(`tidemill init made ${readdirSync(join(project, 'worker')).join(', ')}`);
} finally {
  rmSync(project, { recursive: true, force: true });
}
