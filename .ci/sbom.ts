/**
 * Prints the bill of materials (CycloneDX) of the npm package: its production dependencies as locked. Made from an
 * install without the others, because `npm sbom --omit=dev` drops what both kinds need.
 */
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { ROOT, run } from './stranger.ts';

const Manifest = z.looseObject({ name: z.string() });
const folder = mkdtempSync(join(tmpdir(), 'tidemill-sbom-'));
try {
  const manifest = Manifest.parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));
  // npm names the component after the folder.
  const project = join(folder, manifest.name);
  mkdirSync(join(project, '.ci'), { recursive: true });
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(join(ROOT, file), join(project, file));
  cpSync(join(ROOT, '.ci/node'), join(project, '.ci/node'), { recursive: true });
  run(
    'npm',
    ['ci', '--omit=dev', '--workspaces=false', '--ignore-scripts', '--no-audit', '--no-fund'],
    project,
  );
  // What is not installed here is not missing.
  const absent = { devDependencies: undefined, peerDependencies: undefined, workspaces: undefined };
  writeFileSync(join(project, 'package.json'), JSON.stringify({ ...manifest, ...absent }));
  for (const name of ['package-lock.json', '.ci']) rmSync(join(project, name), { recursive: true });
  process.stdout.write(run('npm', ['sbom', '--sbom-format=cyclonedx'], project));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
