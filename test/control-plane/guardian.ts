/** A shell that outlives a test process by a moment: it ends what the test started when the test could not do so itself. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Each line that comes is the whole list of processes; the end of the input is the end of the test process. */
const SCRIPT = `
trap '' INT TERM HUP
pids=
while read -r line; do pids=$line; done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
rm -rf "$1"
`;

export class Guardian implements AsyncDisposable {
  readonly #shell: ChildProcess;
  readonly #pids = new Set<number>();

  /** @param directory removed at the end, whatever the end was */
  constructor(directory: string) {
    // In a session of its own, so that a Ctrl-C at the terminal ends the test and not its cleaner.
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'guardian', directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#shell.stdin?.on('error', () => undefined);
  }

  watch(pid: number): void {
    this.#pids.add(pid);
    this.#tell();
  }

  forget(pid: number): void {
    this.#pids.delete(pid);
    this.#tell();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#shell, 'exit');
    this.#shell.stdin?.end();
    await ended;
  }

  #tell(): void {
    this.#shell.stdin?.write(`${[...this.#pids].join(' ')}\n`);
  }
}
