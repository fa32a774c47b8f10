/**
 * Objects from manifests on disk and from code, as a source of the engine. Files are watched, and looked at every 2 s in
 * case the watch says nothing (network drives, mounted ConfigMaps).
 *
 * An object is published once its generation is known, for which the broker must have been reached: without it nothing
 * would fire anyway. See `file-generation.ts` for how generations are counted.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { Broker } from '../broker/broker.ts';
import { queueOf } from '../resource/to-schedule.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Problem, TidemillError } from '../runtime/errors.ts';
import type { TaskLog } from '../task/types.ts';
import { Alarm } from './alarm.ts';
import { fileUid, generationOf, type KnownGeneration, specText } from './file-generation.ts';
import { ManifestFiles, type ParseFile, type Scan, SETTLE_MS } from './manifest-files.ts';
import type { ManifestObject } from './manifest-object.ts';
import { keyOf, type ObjectKey, type ScheduledObject } from '../resource/scheduled-object.ts';
import type { ObjectSource } from './source.ts';

const POLL_MS = 2_000;
/** States of schedules asked for in one call. */
const STATES_PER_CALL = 500;

export interface FileSourceOptions {
  /** Files, and folders that are searched through with all their subfolders. */
  readonly roots: readonly string[];
  /** Schedules in code; in force beside the files. */
  readonly code?: readonly ManifestObject[];
  /** How a file is read: `parseManifests`. */
  readonly parse: ParseFile;
  readonly install: string;
  readonly broker: Pick<Broker, 'queue'>;
  readonly clock: Clock;
  readonly log: TaskLog;
  /**
   * Asked before a generation is raised above one that another process made: whether this process may. A former leader
   * with older files must not overrule the one that followed it. Until it may, what differs is held back: neither published
   * nor taken for gone. Default: yes.
   */
  readonly authority?: () => Promise<boolean>;
  /**
   * All problems of the files as they stand, and what was left out on purpose; called when either changed, with empty
   * lists when all are mended.
   */
  readonly onProblems?: (problems: readonly Problem[], warnings: readonly Problem[]) => void;
  /** Default 2 s. */
  readonly pollMs?: number;
}

interface Published {
  readonly object: ScheduledObject;
  /** The spec as canonical text. */
  readonly text: string;
}

export class FileSource implements ObjectSource {
  readonly #options: FileSourceOptions;
  readonly #files: ManifestFiles;
  readonly #alarm: Alarm;
  readonly #listeners = new Set<(key: ObjectKey) => void>();
  readonly #published = new Map<ObjectKey, Published>();
  /** Their content differs from what is in force, and another process leads. Tried again at each look. */
  #heldBack: ReadonlySet<ObjectKey> = new Set();
  #lastFullListAt: number | undefined;
  #told = '[[],[]]';
  #scanning: Promise<Scan> | undefined;

  constructor(options: FileSourceOptions) {
    this.#options = options;
    this.#files = new ManifestFiles(options.roots, options.parse);
    this.#alarm = new Alarm(options.clock);
  }

  get lastFullListAt(): number | undefined {
    return this.#lastFullListAt;
  }

  list(): readonly ScheduledObject[] {
    return [...this.#published.values()].map(({ object }) => object);
  }

  get(key: ObjectKey): ScheduledObject | undefined {
    return this.#published.get(key)?.object;
  }

  subscribe(listener: (key: ObjectKey) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Looks at the files at once, such as when this process has begun to lead. */
  lookAgain(): void {
    this.#alarm.ring();
  }

  /** Reads the files once and publishes what they hold. @returns their problems */
  async load(): Promise<readonly Problem[]> {
    return (await this.#scanAndPublish(undefined)).problems;
  }

  /** Keeps the objects up to date until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, pollMs = POLL_MS } = this.#options;
    const watchers = this.#watch();
    signal.addEventListener(
      'abort',
      () => {
        this.#alarm.ring();
      },
      { once: true },
    );
    try {
      while (!signal.aborted) {
        let waitMs = pollMs;
        try {
          if ((await this.#scanAndPublish(undefined)).unsettled) waitMs = Math.min(SETTLE_MS, pollMs);
        } catch (error) {
          log.warn('changed schedules are not in force yet: the broker could not be asked', { err: error });
        }
        await this.#alarm.wait(waitMs, signal);
        // Editors write a file in several steps.
        await clock.sleep(Math.min(SETTLE_MS / 3, pollMs), signal);
      }
    } finally {
      for (const watcher of watchers) watcher.close();
    }
  }

  /** @throws TidemillError NOT_LEADER when it differs from what is in force and another scheduler leads */
  async readLive(key: ObjectKey): Promise<ScheduledObject | undefined> {
    await this.#scanAndPublish(key);
    if (this.#heldBack.has(key)) {
      throw new TidemillError(
        'NOT_LEADER',
        `${key} differs from what is in force, and another scheduler leads: nothing was changed`,
      );
    }
    return this.get(key);
  }

  #watch(): readonly FSWatcher[] {
    return this.#options.roots.flatMap((root) => {
      // Looking every 2 s does it, too; whoever wonders why an edit takes that long finds it here.
      const tell = (error: unknown): void => {
        this.#options.log.debug('manifests are not watched, only looked at now and then', {
          root,
          err: error,
        });
      };
      try {
        const watcher = watch(root, { recursive: true }, () => {
          this.#alarm.ring();
        });
        watcher.on('error', (error) => {
          tell(error);
          watcher.close();
        });
        return [watcher];
      } catch (error) {
        tell(error);
        return [];
      }
    });
  }

  /** One at a time: two readers of one file would each see a change as new. */
  async #scanAndPublish(refused: ObjectKey | undefined): Promise<Scan> {
    while (this.#scanning !== undefined) await this.#scanning.catch(() => undefined);
    this.#scanning = this.#scanOnce(refused).finally(() => {
      this.#scanning = undefined;
    });
    return await this.#scanning;
  }

  async #scanOnce(refused: ObjectKey | undefined): Promise<Scan> {
    const askedAtMs = this.#options.clock.monotonic();
    const scan = await this.#files.scan(askedAtMs);
    const { objects, problems } = withoutDuplicates([...(this.#options.code ?? []), ...scan.objects]);
    this.#tell([...scan.problems, ...problems], scan.warnings);
    await this.#publish(objects, refused);
    const isFull = scan.complete && problems.length === 0 && this.#heldBack.size === 0;
    if (isFull) this.#lastFullListAt = askedAtMs;
    return { ...scan, problems: [...scan.problems, ...problems] };
  }

  #tell(problems: readonly Problem[], warnings: readonly Problem[]): void {
    const told = JSON.stringify([problems, warnings]);
    if (told === this.#told) return;
    this.#told = told;
    this.#options.onProblems?.(problems, warnings);
  }

  /** @param refused - a key whose generation the broker refused: it is counted anew even though its content is the same */
  async #publish(objects: readonly ManifestObject[], refused: ObjectKey | undefined): Promise<void> {
    const fresh = objects.flatMap((object) => {
      const text = specText(object.spec);
      const key = keyOf(object);
      return key !== refused && this.#published.get(key)?.text === text ? [] : [{ object, text }];
    });
    const known = await this.#knownGenerations(fresh.map(({ object }) => object));
    const next: Published[] = [];
    const heldBack = new Set<ObjectKey>();
    let mayRaise: boolean | undefined;
    for (const [index, { object, text }] of fresh.entries()) {
      const inBroker = known[index];
      const numbered = this.#numbered(object, text, inBroker);
      const isRaised = inBroker !== undefined && numbered.generation > inBroker.generation;
      if (isRaised) mayRaise ??= (await this.#options.authority?.()) ?? true;
      if (isRaised && mayRaise === false) heldBack.add(numbered.key);
      else next.push({ object: numbered, text });
    }
    // Nothing was changed so far: a broker that cannot be asked leaves all as it was, to be tried again.
    this.#holdBack(heldBack);
    const wanted = new Set(objects.map(keyOf));
    const changed = new Set([...this.#published.keys()].filter((key) => !wanted.has(key)));
    for (const key of changed) this.#published.delete(key);
    for (const published of next) {
      const { key, generation } = published.object;
      if (generation !== this.get(key)?.generation) changed.add(key);
      this.#published.set(key, published);
    }
    for (const key of changed) for (const listener of this.#listeners) listener(key);
  }

  /** Told once, not at every look. */
  #holdBack(keys: ReadonlySet<ObjectKey>): void {
    const isNews = keys.symmetricDifference(this.#heldBack).size > 0;
    this.#heldBack = keys;
    if (isNews && keys.size > 0) {
      this.#options.log.warn(
        'schedules here differ from what is in force, and another scheduler leads: they take force when this one does',
        { schedules: keys.size, first: [...keys].slice(0, 10) },
      );
    }
  }

  #numbered(object: ManifestObject, text: string, inBroker: KnownGeneration | undefined): ScheduledObject {
    const { namespace, name, spec, annotations } = object;
    const key = keyOf(object);
    const before = this.#published.get(key);
    const own = before === undefined ? undefined : { generation: before.object.generation, withdrawn: false };
    // A broker that was emptied knows less than we do, and numbers must not be used twice.
    const known = own !== undefined && own.generation > (inBroker?.generation ?? 0) ? own : inBroker;
    const differs = before !== undefined && before.text !== text && known?.generation === own?.generation;
    const generation = generationOf(text, known, differs);
    const uid = fileUid(this.#options.install, namespace, name);
    return { key, uid, generation, namespace, name, spec, ...(annotations !== undefined && { annotations }) };
  }

  /** In the order of the objects. */
  async #knownGenerations(
    objects: readonly ManifestObject[],
  ): Promise<readonly (KnownGeneration | undefined)[]> {
    const known = new Map<ManifestObject, KnownGeneration | undefined>();
    for (const [queue, inQueue] of Map.groupBy(objects, ({ spec }) => queueOf(spec))) {
      const port = this.#options.broker.queue(queue).schedules;
      for (let start = 0; start < inQueue.length; start += STATES_PER_CALL) {
        const piece = inQueue.slice(start, start + STATES_PER_CALL);
        const states = await port.states(
          piece.map(({ namespace, name }) => fileUid(this.#options.install, namespace, name)),
        );
        for (const [index, object] of piece.entries()) known.set(object, states[index]);
      }
    }
    return objects.map((object) => known.get(object));
  }
}

function withoutDuplicates(objects: readonly ManifestObject[]): {
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly Problem[];
} {
  const first = new Map<ObjectKey, ManifestObject>();
  const problems: Problem[] = [];
  for (const object of objects) {
    const key = keyOf(object);
    const before = first.get(key);
    if (before === undefined) first.set(key, object);
    else
      problems.push({
        at: object.at,
        message: `ScheduledTask ${key} is also in ${before.at}, which is in force: rename or remove one`,
      });
  }
  return { objects: [...first.values()], problems };
}
