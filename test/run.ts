/**
 * `npm test`: makes sure that what the tests need is there, then runs every suite and counts what it saw.
 *
 * `npm test -- WORD...` runs the files whose path contains every WORD. The tests of `cluster/`, which run a whole Kubernetes
 * on this machine, run only when a word starts with it (`npm run test:cluster`). A skipped test fails the run when CI=true.
 */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { ensureServers } from './support/ensure-servers.ts';

const TEST_ROOT = import.meta.dirname;
const LONGEST_TEST_MS = 600_000;
/** Suites on a cluster build images, roll out pods and wait out leases, and the first one builds Kubernetes. */
const LONGEST_CLUSTER_TEST_MS = 3_600_000;
const CLUSTER_TESTS = 'cluster/';

/** Suites with processes, faults and real time run one file at a time: on two cores they would disturb each other. */
const ONE_AT_A_TIME = ['integration/', 'e2e/', CLUSTER_TESTS];

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

function testFiles(words: readonly string[]): readonly string[] {
  const wantsCluster = words.some((word) => word.startsWith(CLUSTER_TESTS));
  return readdirSync(TEST_ROOT, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && words.every((word) => path.includes(word)))
    .filter((path) => wantsCluster || !path.startsWith(CLUSTER_TESTS))
    .sort();
}

async function runFiles(files: readonly string[], concurrency: number, tally: Tally): Promise<void> {
  if (files.length === 0) return;
  const stream = run({
    files: files.map((file) => join(TEST_ROOT, file)),
    concurrency,
    timeout: files.some((file) => file.startsWith(CLUSTER_TESTS)) ? LONGEST_CLUSTER_TEST_MS : LONGEST_TEST_MS,
  });
  const count = (
    data: { readonly skip?: string | boolean; readonly details: { readonly type?: string } },
    kind: 'passed' | 'failed',
  ): void => {
    if (data.details.type === 'suite') return;
    if (data.skip !== undefined && data.skip !== false) tally.skipped += 1;
    else tally[kind] += 1;
  };
  stream.on('test:pass', (data) => {
    count(data, 'passed');
  });
  stream.on('test:fail', (data) => {
    count(data, 'failed');
  });
  await pipeline(stream, new spec(), process.stdout, { end: false });
}

const words = process.argv.slice(2);
const files = testFiles(words);
if (files.length === 0) {
  process.stderr.write(
    `no test file matches ${JSON.stringify(words.join(' '))} below ${relative(process.cwd(), TEST_ROOT)}\n`,
  );
  process.exit(1);
}
await ensureServers({
  controlPlane: files.some((file) => /^(integration|e2e)\/kube\//.test(file)),
  charts: files.some((file) => file.startsWith('integration/kube/charts-')),
  cluster: files.some((file) => file.startsWith(CLUSTER_TESTS)),
});

const alone = files.filter((file) => ONE_AT_A_TIME.some((folder) => file.startsWith(folder)));
const together = files.filter((file) => !alone.includes(file));
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
await runFiles(together, 2, tally);
await runFiles(alone, 1, tally);

process.stdout.write(`\n${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped\n`);
const skipIsFailure = process.env['CI'] === 'true' && tally.skipped > 0;
if (skipIsFailure) process.stderr.write('with CI=true a skipped test is a failure\n');
process.exit(tally.failed > 0 || tally.passed === 0 || skipIsFailure ? 1 : 0);
