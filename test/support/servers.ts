/** The servers that this machine has to run the tests against. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface FoundServer {
  readonly name: 'redis' | 'valkey';
  readonly version: string;
  readonly binary: string;
}

export interface FoundServers {
  readonly servers: readonly FoundServer[];
  /** For each server that is not here, one sentence that says how to get it. */
  readonly missing: readonly string[];
}

export const VALKEY_VERSION = '9.1.2';
/** Where `install-valkey.ts` puts the server. */
export const VALKEY_CACHE = join(homedir(), '.cache', 'tidemill', `valkey-${VALKEY_VERSION}`);
/** Names a Valkey server that is not on the PATH. */
export const VALKEY_VARIABLE = 'TIDEMILL_TEST_VALKEY_SERVER';

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function onPath(command: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return directories.map((directory) => join(directory, command)).find(isExecutable);
}

/** The Valkey server to use, if there is one. */
export function findValkey(): string | undefined {
  const given = process.env[VALKEY_VARIABLE];
  if (given !== undefined && given !== '') return given;
  const cached = join(VALKEY_CACHE, 'valkey-server');
  return onPath('valkey-server') ?? (isExecutable(cached) ? cached : undefined);
}

function versionOf(binary: string): string {
  const text = execFileSync(binary, ['--version'], { encoding: 'utf8' });
  return /v=(\S+)/.exec(text)?.[1] ?? 'unknown';
}

export function findServers(): FoundServers {
  const redis = onPath('redis-server');
  const valkey = findValkey();
  const servers: FoundServer[] = [];
  const missing: string[] = [];
  if (redis === undefined)
    missing.push(
      'redis-server 7.0 or newer is not on the PATH: install it (Debian: apt-get install redis-server)',
    );
  else servers.push({ name: 'redis', version: versionOf(redis), binary: redis });
  if (valkey === undefined) {
    missing.push(
      `valkey-server is not on the PATH: run test/support/install-valkey.ts, or name one in ${VALKEY_VARIABLE}`,
    );
  } else servers.push({ name: 'valkey', version: versionOf(valkey), binary: valkey });
  return { servers, missing };
}
