/** What a machine must have before a whole cluster can run on it: told in one sentence, or installed where that is allowed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { canInstall, installPackages } from '../../support/apt.ts';
import { isOnPath } from '../../support/on-path.ts';

/** Debian's name of the package that brings a program or file. */
const PACKAGES: readonly { readonly provides: string; readonly package: string }[] = [
  { provides: 'containerd', package: 'containerd' },
  { provides: 'runc', package: 'runc' },
  { provides: 'buildah', package: 'buildah' },
  { provides: 'debootstrap', package: 'debootstrap' },
  { provides: '/usr/lib/cni/bridge', package: 'containernetworking-plugins' },
  { provides: 'iptables', package: 'iptables' },
  { provides: 'conntrack', package: 'conntrack' },
  { provides: 'prometheus', package: 'prometheus' },
  { provides: 'gcc', package: 'gcc' },
  { provides: '/usr/include/stdio.h', package: 'libc6-dev' },
  { provides: 'ip', package: 'iproute2' },
  { provides: 'nsenter', package: 'util-linux' },
  { provides: 'openssl', package: 'openssl' },
];

/**
 * Makes sure that a cluster can be started here: on x86-64 Linux, as root, with the Debian packages above, which it
 * installs with apt-get where they are missing.
 * @throws Error with one sentence that says what is missing
 */
export function ensureClusterGround(): void {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `the cluster tests run a kubelet and its containers on this very machine, which must be Linux on x86-64 and is ${process.platform} on ${process.arch}: run them there, or run the other tests with npm test`,
    );
  if (process.getuid?.() !== 0)
    throw new Error(
      'the cluster tests make namespaces, mounts and cgroups and need root: run them as root, or run the other tests with npm test',
    );
  installMissing();
  tryNamespaces();
  if (!readFileSync('/proc/filesystems', 'utf8').includes('overlay'))
    throw new Error('the cluster tests need overlayfs, which this kernel does not know: load its module');
}

function installMissing(): void {
  const missing = PACKAGES.filter(({ provides }) => !isPresent(provides)).map((entry) => entry.package);
  if (missing.length === 0) return;
  if (!canInstall())
    throw new Error(
      `the cluster tests need what Debian packs as ${missing.join(', ')}: install it and run again`,
    );
  installPackages(missing);
}

function isPresent(provides: string): boolean {
  return provides.startsWith('/') ? existsSync(provides) : isOnPath(provides);
}

/** Containers forbid these by default, and the message of the first server to fail would not say so. */
function tryNamespaces(): void {
  const probe =
    'ip link add probe0 type bridge && mount -t tmpfs tmpfs /run && iptables -t nat -L -n >/dev/null';
  const flags = ['--net', '--mount', '--pid', '--fork', '--mount-proc'];
  try {
    execFileSync('unshare', [...flags, 'sh', '-c', probe], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause);
    throw new Error(
      `the cluster tests need network, mount and process namespaces, bridges and iptables, which this machine refuses (${said}): run them in a virtual machine or a privileged container`,
      { cause },
    );
  }
}
