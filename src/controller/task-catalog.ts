/** What the consumers of one queue say they can run: checks an object's task and params before its slots are due, not at 3 a.m. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { InspectPort } from '../broker/broker.ts';
import { messageOf } from '../runtime/errors.ts';
import { cut, quoted } from '../runtime/printable.ts';
import type { TaskLog } from '../task/types.ts';
import type { TaskDescription } from '../task/manifest.ts';
import type { Priority } from '../task/run.ts';

/** Compiled schemas kept; a queue with more live ones compiles some of them again. */
const SCHEMAS_KEPT = 1_000;
/** Problems told in one message; the rest shows when these are mended. */
const PROBLEMS_SHOWN = 3;
/** Of one of them: a key of the params may be as long as the params. */
const PROBLEM_LENGTH = 200;

export interface CatalogAnswer {
  readonly reason: 'Scheduled' | 'UnknownTask' | 'NoConsumer' | 'InvalidParams';
  readonly message: string;
}

/** Each problem as `.path: rule`, to be put behind the field that holds the params. */
type Check = (params: unknown) => readonly string[];

export class TaskCatalog {
  readonly #inspect: Pick<InspectPort, 'manifests'>;
  readonly #log: TaskLog;
  readonly #checks = new Map<string, Check>();
  #descriptions = new Map<string, { readonly live: TaskDescription[]; readonly gone: TaskDescription[] }>();
  #empty = true;
  #fingerprint: string | undefined;

  constructor(inspect: Pick<InspectPort, 'manifests'>, log: TaskLog) {
    this.#inspect = inspect;
    this.#log = log;
  }

  /** Reads the manifests again. @returns whether an answer of `check` may have changed */
  async refresh(): Promise<boolean> {
    const manifests = await this.#inspect.manifests();
    const fingerprint = createHash('sha256')
      .update(JSON.stringify(manifests.map(({ manifest, live }) => [manifest.hash, live]).sort()))
      .digest('hex');
    if (fingerprint === this.#fingerprint) return false;
    this.#fingerprint = fingerprint;
    this.#empty = manifests.length === 0;
    this.#descriptions = new Map();
    for (const { manifest, live } of manifests) {
      for (const description of manifest.tasks) {
        const known = this.#descriptions.get(description.name) ?? { live: [], gone: [] };
        (live ? known.live : known.gone).push(description);
        this.#descriptions.set(description.name, known);
      }
    }
    return true;
  }

  /** The task's own priority, by any of its manifests. */
  priorityOf(task: string): Priority | undefined {
    const known = this.#descriptions.get(task);
    return (known?.live[0] ?? known?.gone[0])?.priority;
  }

  /** How many versions of the task's params are live: more than one while a roll-out is under way. */
  liveSchemas(task: string): number {
    return new Set(this.#descriptions.get(task)?.live.map(({ schemaHash }) => schemaHash)).size;
  }

  /**
   * @param params - JSON text
   * @param field - where they stand, for messages
   */
  check(task: string, params: string, field = 'spec.params'): CatalogAnswer {
    const known = this.#descriptions.get(task);
    if (known === undefined) return this.#unknown(task);
    const versions = known.live.length > 0 ? known.live : known.gone;
    const problems = this.#problems(versions, params).map((problem) => `${field}${problem}`);
    if (problems.length > 0) {
      const shown = problems.slice(0, PROBLEMS_SHOWN).join('; ');
      const more = problems.length > PROBLEMS_SHOWN ? `; and ${problems.length - PROBLEMS_SHOWN} more` : '';
      return { reason: 'InvalidParams', message: `${shown}${more}` };
    }
    if (known.live.length > 0) return { reason: 'Scheduled', message: 'fires on schedule' };
    return {
      reason: 'NoConsumer',
      message: `no consumer of this queue is up that knows task ${quoted(task)}: runs wait`,
    };
  }

  #unknown(task: string): CatalogAnswer {
    if (this.#empty)
      return { reason: 'NoConsumer', message: 'no consumer of this queue was seen yet: runs wait' };
    const message = `spec.task: no consumer of this queue knows task ${quoted(task)}: runs wait until one does`;
    return { reason: 'UnknownTask', message };
  }

  /** Empty when any version takes the params; else what the first one says. */
  #problems(versions: readonly TaskDescription[], params: string): readonly string[] {
    const value: unknown = JSON.parse(params);
    const found = versions.map((version) => this.#checkOf(version)(value));
    return found.some((problems) => problems.length === 0) ? [] : (found[0] ?? []);
  }

  #checkOf(description: TaskDescription): Check {
    const known = this.#checks.get(description.schemaHash);
    if (known !== undefined) return known;
    if (this.#checks.size >= SCHEMAS_KEPT) this.#checks.clear();
    const check = this.#compile(description);
    this.#checks.set(description.schemaHash, check);
    return check;
  }

  #compile({ name, paramsSchema }: TaskDescription): Check {
    if (paramsSchema === undefined) return takesNone;
    try {
      const schema = z.fromJSONSchema(paramsSchema);
      return (params) => this.#ask(name, schema, params);
    } catch (error) {
      this.#uncheckable(name, error);
      return () => [];
    }
  }

  #ask(task: string, schema: z.ZodType, params: unknown): readonly string[] {
    try {
      return problemsOf(schema.safeParse(params));
    } catch (error) {
      this.#uncheckable(task, error);
      return [];
    }
  }

  /** The consumer checks again with the real schema, so an odd one must not stop the schedule. */
  #uncheckable(task: string, error: unknown): void {
    this.#log.warn('the params schema of a task cannot be checked here', { task, problem: messageOf(error) });
  }
}

function takesNone(params: unknown): readonly string[] {
  const isEmpty = params === null || (typeof params === 'object' && Object.keys(params).length === 0);
  return isEmpty ? [] : [': this task takes no params'];
}

function problemsOf(result: z.ZodSafeParseResult<unknown>): readonly string[] {
  if (result.success) return [];
  return result.error.issues.map(({ path, message }) =>
    cut(`${path.map((step) => `.${String(step)}`).join('')}: ${message}`, PROBLEM_LENGTH),
  );
}
