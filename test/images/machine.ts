/** What an image that is built on this machine must know of it to reach the registries: mirror, certificates, proxies. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { canInstall, installPackages } from '../support/apt.ts';
import { isOnPath } from '../support/on-path.ts';

const DEFAULT_MIRROR = 'http://deb.debian.org/debian';
const DEFAULT_REGISTRY = 'https://registry.npmjs.org/';
/** Where Debian keeps the certificates; in the image as on this machine. */
export const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
/** Programs with a trust store of their own read the path of an additional one from one of these. */
const CA_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'CURL_CA_BUNDLE'] as const;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Programs, each in a Debian package of its name. */
const TOOLS = ['buildah', 'debootstrap', 'runc'] as const;

/** @throws Error with one sentence that says what to install */
export function ensureImageTools(): void {
  if (process.getuid?.() !== 0)
    throw new Error('building images for the tests needs root: run the cluster tests as root');
  const missing = TOOLS.filter((program) => !isOnPath(program));
  if (missing.length === 0) return;
  if (!canInstall())
    throw new Error(
      `the tests of the image need ${missing.join(', ')} on the PATH: install them and run again`,
    );
  installPackages(missing);
}

/** What the command prints, or nothing when it fails. */
function output(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

/** The archive that this machine takes a Debian suite from; the public one when it takes none. */
export function debianMirror(suite: string): string {
  const targets = output('apt-get', [
    'indextargets',
    '--format',
    '$(SITE) $(ORIGIN) $(CODENAME)',
    'Created-By: Packages',
  ]);
  const known = targets.split('\n').map((line) => line.split(' '));
  return (
    known.find(([, origin, codename]) => origin === 'Debian' && codename === suite)?.[0] ?? DEFAULT_MIRROR
  );
}

/** apt's proxies, as the text of a configuration file. */
export function aptConfiguration(): string {
  return output('apt-config', ['dump', 'Acquire'])
    .split('\n')
    .filter((line) => /proxy/i.test(line) && !line.endsWith('"";'))
    .map((line) => `${line}\n`)
    .join('');
}

/** npm's registry and certificates, as the text of a global configuration file. */
export function npmConfiguration(): string {
  const registry = output('npm', ['config', 'get', 'registry']);
  const lines = [`cafile=${CA_BUNDLE}`];
  if (registry !== '' && registry !== DEFAULT_REGISTRY) lines.push(`registry=${registry}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** Certificates that this machine trusts, beside those of the Debian package: one PEM text, none twice. */
export function trustedCertificates(): string {
  const named = CA_VARIABLES.flatMap((variable) => process.env[variable] ?? []);
  const files = [...named, output('npm', ['config', 'get', 'cafile']), CA_BUNDLE].filter((file) =>
    existsSync(file),
  );
  const texts = files.flatMap((file) => readFileSync(file, 'utf8').match(CERTIFICATE) ?? []);
  return [...new Set(texts)].map((text) => `${text}\n`).join('');
}

/** Folder of the npm that runs here. */
export function npmFolder(): string {
  const cli = process.env['npm_execpath'] ?? realpathSync(output('which', ['npm']) || '/usr/bin/npm');
  const folder = join(cli, '../..');
  if (!existsSync(join(folder, 'bin/npm-cli.js')))
    throw new Error(`npm must be a folder with bin/npm-cli.js, but ${folder} has none: put npm on the PATH`);
  return folder;
}
