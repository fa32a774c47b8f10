/** Finds the Redis server that tests and benches run against, or installs it where it may, and says that it does. */
import { canInstall, installPackages } from './apt.ts';
import { isOnPath } from './on-path.ts';

/** @throws Error with one sentence that says what to install */
export function ensureRedis(): void {
  if (isOnPath('redis-server')) return;
  if (!canInstall()) {
    throw new Error(
      'redis-server 7.0 or newer is needed on the PATH: install it (Debian: apt-get install redis-server) and run again',
    );
  }
  installPackages(['redis-server']);
}
