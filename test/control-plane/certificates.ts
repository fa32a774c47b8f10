/** Certificate authorities for one control plane or cluster, made with the `openssl` command: valid for two days, on this machine only. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DAYS = ['-days', '2'];

export interface KeyPair {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificates {
  readonly caFile: string;
  /** Of the API server. */
  readonly server: KeyPair;
  /** A client in `system:masters`. */
  readonly admin: KeyPair;
  /** For a proxy that speaks as the API server on 127.0.0.1. */
  readonly proxy: KeyPair;
  /** Signs the tokens of service accounts. */
  readonly serviceAccount: TokenPair;
}

/** Keys that sign and verify tokens. */
export interface TokenPair {
  readonly publicFile: string;
  readonly keyFile: string;
}

const SERVER_NAMES = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost'];

/** What an API server is called by its clients, beside further addresses. */
export function serverAlternatives(...addresses: readonly string[]): readonly string[] {
  return [
    ...SERVER_NAMES.map((name) => `DNS:${name}`),
    ...['127.0.0.1', '10.96.0.1', ...addresses].map((address) => `IP:${address}`),
  ];
}

/** @throws Error with one sentence when there is no `openssl` */
export async function makeCertificates(directory: string): Promise<Certificates> {
  const ca = await makeAuthority(directory, 'ca');
  const alternatives = serverAlternatives();
  const [server, admin, proxy, serviceAccount] = await Promise.all([
    sign(directory, ca, { name: 'server', subject: '/CN=kube-apiserver', alternatives }),
    sign(directory, ca, { name: 'admin', subject: '/O=system:masters/CN=test-admin' }),
    sign(directory, ca, { name: 'proxy', subject: '/CN=test-proxy', alternatives: ['IP:127.0.0.1'] }),
    signingPair(directory),
  ]);
  return { caFile: ca.certFile, server, admin, proxy, serviceAccount };
}

/** @param name of its files and, with a prefix, of its subject */
export async function makeAuthority(directory: string, name: string): Promise<KeyPair> {
  const ca = place(directory, name);
  await openssl([
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...DAYS, '-subj', `/CN=tidemill-test-${name}`],
    ...['-keyout', ca.keyFile, '-out', ca.certFile],
  ]);
  return ca;
}

export interface Wanted {
  /** Of its files. */
  readonly name: string;
  readonly subject: string;
  /** Such as `DNS:localhost` or `IP:127.0.0.1`. */
  readonly alternatives?: readonly string[];
}

/** A certificate that serves and identifies clients. */
export async function sign(
  directory: string,
  ca: KeyPair,
  { name, subject, alternatives }: Wanted,
): Promise<KeyPair> {
  const pair = place(directory, name);
  const request = join(directory, `${name}.csr`);
  const extensions = join(directory, `${name}.ext`);
  await writeFile(
    extensions,
    [
      'extendedKeyUsage=serverAuth,clientAuth',
      ...(alternatives === undefined ? [] : [`subjectAltName=${alternatives.join(',')}`]),
    ].join('\n'),
  );
  await openssl([
    ...['req', '-newkey', 'rsa:2048', '-nodes', '-subj', subject],
    ...['-keyout', pair.keyFile, '-out', request],
  ]);
  await openssl([
    ...['x509', '-req', '-in', request, '-CA', ca.certFile, '-CAkey', ca.keyFile, ...DAYS],
    // A serial of its own: the counter file that openssl would keep is shared by signatures made at once.
    ...[
      '-set_serial',
      String(Math.floor(Math.random() * 1e12)),
      '-extfile',
      extensions,
      '-out',
      pair.certFile,
    ],
  ]);
  return pair;
}

/** A key pair without a certificate, which signs the tokens of service accounts. */
export async function signingPair(directory: string): Promise<TokenPair> {
  const pair = { publicFile: join(directory, 'sa.pub'), keyFile: join(directory, 'sa.key') };
  await openssl(['genrsa', '-out', pair.keyFile, '2048']);
  await openssl(['rsa', '-in', pair.keyFile, '-pubout', '-out', pair.publicFile]);
  return pair;
}

function place(directory: string, name: string): KeyPair {
  return { certFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await run('openssl', args);
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw missing
      ? new Error('the tests need the openssl command for the certificates of their API server: install it', {
          cause,
        })
      : cause;
  }
}
