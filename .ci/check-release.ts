/**
 * `check-release.ts TAG`: the tag, the package, the image, the example, the charts and the changelog must name one
 * version. With `--notes` it prints the changelog's section of that version.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** File → where it names the version of this project. */
export const PLACES: Readonly<Record<string, RegExp>> = {
  'package.json': /^ {2}"version": "(.+)",$/m,
  Dockerfile: /^ARG TIDEMILL_VERSION=(.+)$/m,
  'examples/worker/Dockerfile': /^ARG TIDEMILL_IMAGE=ghcr\.io\/tidemill\/tidemill:(.+)$/m,
  'helm/tidemill/Chart.yaml': /^appVersion: ['"]?([^'"\n]+)['"]?$/m,
  'helm/tidemill-worker/Chart.yaml': /^appVersion: ['"]?([^'"\n]+)['"]?$/m,
};

/** @returns one line for each place that names another version, or none */
export function differing(version: string, read: (path: string) => string): readonly string[] {
  return Object.entries(PLACES).flatMap(([path, place]) => {
    const named = place.exec(read(path))?.[1];
    return named === version ? [] : [`${path} names ${named ?? 'no version'}, expected ${version}`];
  });
}

/** @returns the section of that version, without its heading */
export function notesOf(version: string, changelog: string): string | undefined {
  const sections = changelog.split(/^## \[/m);
  const section = sections.find((text) => text.startsWith(`${version}]`));
  return section?.slice(section.indexOf('\n') + 1).trim();
}

function main([tag = '', flag]: readonly string[]): void {
  const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
  const version = tag.replace(/^v/, '');
  const problems = [...differing(version, read)];
  if (!/^v\d+\.\d+\.\d+(-[0-9a-z.]+)?$/.test(tag)) problems.unshift(`a release is tagged v1.2.3, not ${tag}`);
  const notes = notesOf(version, read('CHANGELOG.md'));
  if (notes === undefined || notes === '')
    problems.push(`CHANGELOG.md has no section [${version}]: move what is under [Unreleased] there`);
  if (problems.length > 0) {
    process.stderr.write(problems.map((problem) => `${problem}\n`).join(''));
    process.exitCode = 1;
  } else
    process.stdout.write(flag === '--notes' ? `${notes ?? ''}\n` : `  ok  everything names ${version}\n`);
}

if (import.meta.main) main(process.argv.slice(2));
