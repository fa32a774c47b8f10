/**
 * A process, network and mount namespace of its own for one cluster. Nothing outlives it: when its first process ends, the
 * kernel ends every other one in it, containers included, and with the last of them its mounts and addresses vanish.
 */
import { type ChildProcess, type ChildProcessByStdio, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { CLUSTER_DOMAIN, DNS_ADDRESS } from './addresses.ts';
import { makeCgroup } from './cgroups.ts';

const PREFIX = 'tidemill-cluster-';
const OWNER_FILE = 'owner';

/**
 * The first process. It ends with its standard input, that is, with the process that made the enclosure, and until then
 * it takes in the orphans. Everything that servers would leave in folders of the machine goes into file systems in memory,
 * and so do unpacked images, which take longer to write to a disk and to remove from it than anything else here.
 */
const INIT = `
set -e
mount --make-rprivate /
for folder in /run /var/log /var/lib/cni "$2"; do mkdir -p "$folder"; mount -t tmpfs -o mode=755 tmpfs "$folder"; done
mkdir -p /run/netns /run/lock
echo "search svc.$3 $3" > /run/resolv.conf
echo "nameserver $4" >> /run/resolv.conf
echo 'options ndots:5' >> /run/resolv.conf
resolver=$(readlink -m /etc/resolv.conf)
mkdir -p "$(dirname "$resolver")"
[ -e "$resolver" ] || : > "$resolver"
mount --bind /run/resolv.conf "$resolver"
mount --make-rshared /
ip link set lo up
ip link add tm0 type bridge
ip addr add "$1/32" dev tm0
ip link set tm0 up
ip route add default dev tm0
echo 1 > /proc/sys/net/ipv4/ip_forward
exec 3<&0
cat <&3 >/dev/null &
echo up
set +e
wait $!
`;

/** Outlives the test process by a moment: ends the enclosure and removes what it leaves on disk, however the test ended. */
const CLEANER = `
trap '' INT TERM HUP
read -r pid
cat >/dev/null
[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
tries=0
while [ -n "$pid" ] && [ -e "/proc/$pid" ] && [ $tries -lt 600 ]; do sleep 0.05; tries=$((tries + 1)); done
tries=0
while [ $tries -lt 100 ]; do
  find /sys/fs/cgroup -depth -type d -path "*/$2*" -exec rmdir {} + 2>/dev/null
  [ -z "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$2")" ] && break
  sleep 0.05; tries=$((tries + 1))
done
exec rm -rf "$1"
`;

export class Enclosure implements AsyncDisposable {
  /** Files of the cluster; removed at the end. */
  readonly directory: string;
  /** Name of a control group that exists below the root of every hierarchy; it is removed at the end too. */
  readonly cgroup: string;
  /** Of the first process, as seen from outside. */
  readonly pid: number;
  readonly #init: ChildProcess;
  readonly #cleaner: ChildProcess;

  private constructor(parts: {
    readonly directory: string;
    readonly pid: number;
    readonly init: ChildProcess;
    readonly cleaner: ChildProcess;
  }) {
    this.directory = parts.directory;
    this.cgroup = basename(parts.directory);
    this.pid = parts.pid;
    this.#init = parts.init;
    this.#cleaner = parts.cleaner;
  }

  /** @param address of the machine inside, on a bridge of its own */
  static async make(address: string): Promise<Enclosure> {
    await sweep();
    const directory = await mkdtemp(join(tmpdir(), PREFIX));
    await writeFile(join(directory, OWNER_FILE), String(process.pid));
    const cleaner = startCleaner(directory);
    const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];
    const inMemory = join(directory, 'containerd');
    const init = spawn(
      'unshare',
      [...flags, '/bin/sh', '-c', INIT, 'init', address, inMemory, CLUSTER_DOMAIN, DNS_ADDRESS],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      },
    );
    init.stdin.on('error', () => undefined);
    let complaint = '';
    init.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const up = once(createInterface(init.stdout), 'line');
    const ended = once(init, 'exit').then(() => undefined);
    try {
      const first = await Promise.race([up, ended]);
      const pid = first === undefined ? undefined : childOf(init);
      if (pid === undefined)
        throw new Error(`the namespaces of a cluster could not be made: ${complaint.trim()}`);
      cleaner.stdin.write(`${pid}\n`);
      await makeCgroup(basename(directory));
      return new Enclosure({ directory, pid, init, cleaner });
    } catch (error) {
      cleaner.stdin.end();
      throw error;
    }
  }

  /**
   * Starts a program inside. The child is `nsenter`, which waits for the program: whatever signal ends the child, the
   * program gets SIGTERM.
   */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const wrapper = ['--target', String(this.pid), '--net', '--mount', '--pid', '--wd=/', '--'];
    return spawn('nsenter', [...wrapper, 'setpriv', '--pdeathsig', 'TERM', command, ...args], options);
  }

  /** The program behind a child that `spawn` returned; undefined once it has ended. */
  pidOf(child: ChildProcess): number | undefined {
    return childOf(child);
  }

  /** The command line that runs a program with the addresses of the enclosure, but as a process of the outside. */
  outside(command: string, args: readonly string[]): readonly [string, readonly string[]] {
    return ['nsenter', ['--target', String(this.pid), '--net', '--', command, ...args]];
  }

  /** Whether something inside accepts TCP connections on a port. */
  listensOn(port: number): boolean {
    const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    return ['tcp', 'tcp6'].some((table) =>
      readFileSync(`/proc/${this.pid}/net/${table}`, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .some((fields) => fields[1]?.endsWith(suffix) === true && fields[3] === '0A'),
    );
  }

  /** Ends everything inside at once and waits until it is gone, with its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    const cleaned = this.#cleaner.exitCode === null ? once(this.#cleaner, 'exit') : undefined;
    this.#cleaner.stdin?.end();
    await cleaned;
    this.#init.stdin?.destroy();
  }
}

/** Begins to clean once its standard input ends. */
function startCleaner(directory: string): ChildProcessByStdio<Writable, null, null> {
  const cleaner = spawn('/bin/sh', ['-c', CLEANER, 'cleaner', directory, basename(directory)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // In a session of its own, so that a Ctrl-C at the terminal ends the test and not its cleaner.
    detached: true,
  });
  cleaner.stdin.on('error', () => undefined);
  return cleaner;
}

function childOf(process: ChildProcess): number | undefined {
  if (process.pid === undefined) return undefined;
  try {
    const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
    const [first] = children.trim().split(' ');
    return first === undefined || first === '' ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

/** Removes what enclosures left whose process and cleaner were both killed; their namespaces ended with them. */
async function sweep(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(PREFIX));
  for (const name of names) {
    const directory = join(tmpdir(), name);
    const owner = await readFile(join(directory, OWNER_FILE), 'utf8').catch(() => '');
    if (owner === '' || existsSync(`/proc/${owner}`)) continue;
    const cleaner = startCleaner(directory);
    cleaner.stdin.end();
    await once(cleaner, 'exit');
  }
}
