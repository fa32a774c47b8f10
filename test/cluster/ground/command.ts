/** Runs one command to its end. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface CommandAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Default 60 s. */
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly cwd?: string;
  /** Beside PATH, HOME and KUBECONFIG, or in their place. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whose rights it has. Default: the administrator's. */
  readonly kubeconfig?: string;
}

/** @throws Error when the command could not be started or did not end by itself in time */
export async function runCommand(
  command: string,
  args: readonly string[],
  { timeoutMs = 60_000, input, cwd, env }: CommandOptions,
): Promise<CommandAnswer> {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = new Promise<{ code: number | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code }));
  });
  const [{ code }, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code === null)
    throw new Error(
      `${command} ${args.join(' ')} did not end within ${timeoutMs} ms: ${stderr.slice(-2_000)}`,
    );
  return { code, stdout, stderr };
}

/** @returns what it printed on stdout */
export function mustSucceed(what: string, { code, stdout, stderr }: CommandAnswer): string {
  if (code !== 0) throw new Error(`${what} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
