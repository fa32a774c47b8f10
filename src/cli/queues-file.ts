/**
 * The file that says which namespaces and tasks each queue takes schedules of, read again while the process runs: a mounted
 * ConfigMap changes under it. A file that turns wrong is told of once, and the last good one stays in force.
 */
import { resolve } from 'node:path';
import { type QueueConfig, QueueConfigSchema, queuePolicyOf } from '../controller/tenancy.ts';
import type { QueuePolicy } from '../controller/verdict.ts';
import { explainIssue, forbiddenKeys, unknownFields } from '../resource/field-problems.ts';
import { readYaml } from '../resource/yaml-documents.ts';
import { messageOf, type Problem, ProblemsError } from '../runtime/errors.ts';
import type { TaskLog } from '../task/types.ts';
import type { Io } from './io.ts';

/** A ConfigMap takes up to a minute to reach its mount, so there is no hurry. */
const LOOK_EVERY_MS = 10_000;

/** Pure. @param file - its name, for messages */
export function parseQueuesFile(
  text: string,
  file: string,
): QueueConfig | { readonly problems: readonly Problem[] } {
  const { documents, problems } = readYaml(text, file);
  const [document, second] = documents;
  if (problems.length > 0) return { problems };
  if (document === undefined || second !== undefined)
    return { problems: [{ at: file, message: `must hold one document, not ${documents.length}` }] };
  const { value, lineOf } = document;
  const parsed = QueueConfigSchema.safeParse(value);
  const found = [
    ...unknownQueueFields(value),
    ...forbiddenKeys(value),
    ...(parsed.error?.issues ?? []).map((issue) => explainIssue(issue, value)),
  ];
  if (parsed.success && found.length === 0) return parsed.data;
  return { problems: found.map(({ path, message }) => ({ at: `${file}:${lineOf(path)}`, message })) };
}

/** Unknown fields of the file and of each of its entries. */
function unknownQueueFields(value: unknown) {
  const entry = QueueConfigSchema.shape.queues.element;
  const queues: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'queues') : undefined;
  const entries: readonly unknown[] = Array.isArray(queues) ? queues : [];
  return [
    ...unknownFields(QueueConfigSchema, value),
    ...entries.flatMap((item, index) => unknownFields(entry, item, ['queues', index])),
  ];
}

export class QueuesFile {
  readonly #path: string;
  readonly #io: Pick<Io, 'readFile' | 'clock' | 'cwd'>;
  #text: string;
  /** What is wrong with the file now; undefined: nothing. */
  #complaint: string | undefined;
  #policy: QueuePolicy;

  /** @throws ProblemsError CONFIG_INVALID: what is wrong at start is refused */
  constructor(path: string, io: Pick<Io, 'readFile' | 'clock' | 'cwd'>) {
    this.#path = path;
    this.#io = io;
    const read = this.#read();
    if ('problems' in read)
      throw new ProblemsError('CONFIG_INVALID', 'the queues file is wrong:', read.problems);
    this.#text = read.text;
    this.#policy = queuePolicyOf(read.config);
  }

  /** As the file says at the moment of each question. */
  readonly policy: QueuePolicy = (request) => this.#policy(request);

  /** Looks again and again until the signal aborts. @param changed - called when other rules are in force */
  async run(signal: AbortSignal, log: TaskLog, changed: () => void): Promise<void> {
    for (;;) {
      await this.#io.clock.sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      if (this.#look(log)) changed();
    }
  }

  #look(log: TaskLog): boolean {
    const read = this.#read();
    if ('problems' in read) {
      const complaint = read.problems.map(({ at, message }) => `${at}: ${message}`).join('\n');
      if (complaint !== this.#complaint)
        log.error('the queues file is wrong: the last good one stays in force', { problem: complaint });
      this.#complaint = complaint;
      return false;
    }
    if (this.#complaint !== undefined) log.info('the queues file is right again');
    this.#complaint = undefined;
    if (read.text === this.#text) return false;
    this.#text = read.text;
    this.#policy = queuePolicyOf(read.config);
    log.info('the queues file has changed and is in force', { queues: read.config.queues.length });
    return true;
  }

  #read():
    { readonly text: string; readonly config: QueueConfig } | { readonly problems: readonly Problem[] } {
    let text: string;
    try {
      text = this.#io.readFile(resolve(this.#io.cwd, this.#path));
    } catch (error) {
      return { problems: [{ at: this.#path, message: `cannot be read: ${messageOf(error)}` }] };
    }
    const config = parseQueuesFile(text, this.#path);
    return 'problems' in config ? config : { text, config };
  }
}
