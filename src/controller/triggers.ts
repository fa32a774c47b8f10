/**
 * Runs by hand of the objects of one queue: fires what annotations and the queue's mailbox ask for, and follows what became
 * of the former.
 *
 * None is lost and none runs twice, wherever a process ends: `fire` makes the run and remembers its request in one step, so
 * that whoever asks again is told `duplicate`, and finds out from the run, or from the schedule's log, what was decided.
 */
import type { FireReply, Queue, RequestedRun } from '../broker/broker.ts';
import type { ObjectKey } from '../resource/scheduled-object.ts';
import { RUN_NOW } from '../resource/trigger-annotations.ts';
import { triggerRunId } from '../task/ids.ts';
import type { StaleEntry } from './adopter.ts';
import type { EngineContext } from './engine-context.ts';
import { type Entry, isAdopted, refOf, withDecision } from './entry.ts';
import { fireRequest } from './reconcile.ts';
import {
  type Admission,
  admit,
  ANNOTATED_PARAMS,
  type Asked,
  isRequestId,
  openRequest,
  REQUEST_ID_RULE,
  REQUEST_KEPT_MS,
} from './run-now.ts';
import type { TaskCatalog } from './task-catalog.ts';
import {
  decidedEcho,
  decisionOf,
  echoOfStatus,
  isFinal,
  isSameEcho,
  lostEcho,
  recordedEcho,
  refusedEcho,
  runEcho,
  type TriggerEcho,
} from './trigger.ts';
import { quoted } from '../runtime/printable.ts';

/** How often the mailbox is read, and a run is looked at. */
const LOOK_EVERY_MS = 1_000;
/** More in the mailbox wait for the next look. */
const REQUESTS_PER_LOOK = 100;
/** Runs looked at in one turn; more wait for the next. */
const FOLLOWED_PER_TURN = 64;
/** Decisions searched for a request that was decided by someone else: all that are kept. */
const DECISIONS_SEARCHED = 1_000;

/** A request that stays open: the broker does not stand by our adoption, or is full. */
export type Unfired =
  ({ readonly kind: 'stale' } & StaleEntry) | { readonly kind: 'no-memory'; readonly entry: Entry };

/** A request on its way to the broker. */
interface Sent {
  readonly entry: Entry;
  readonly asked: Asked & { readonly notAfterMs?: number };
  readonly admission: Admission;
}

export class Triggers {
  readonly #context: EngineContext;
  readonly #queue: Pick<Queue, 'name' | 'runs' | 'schedules'>;
  readonly #catalog: Pick<TaskCatalog, 'check'>;
  readonly #entryOf: (key: ObjectKey) => Entry | undefined;
  /** Objects whose run has not ended, with the monotonic time of the next look; the longest unseen first. */
  readonly #followed = new Map<ObjectKey, number>();
  #mailAtMs = -Infinity;

  constructor(
    context: EngineContext,
    queue: Pick<Queue, 'name' | 'runs' | 'schedules'>,
    catalog: Pick<TaskCatalog, 'check'>,
    entryOf: (key: ObjectKey) => Entry | undefined,
  ) {
    this.#context = context;
    this.#queue = queue;
    this.#catalog = catalog;
    this.#entryOf = entryOf;
  }

  /** Fires what the annotations of these objects ask for and nobody has dealt with. */
  async fireAnnotated(entries: readonly Entry[]): Promise<readonly Unfired[]> {
    const sent: Sent[] = [];
    for (const entry of entries) {
      this.#learn(entry);
      const asked = openRequest(entry);
      if (asked === undefined) continue;
      if (isRequestId(asked.request)) sent.push({ entry, asked, admission: this.#admit(entry, asked) });
      else this.#echo(entry, refusedEcho(asked.request, invalidId(asked), this.#nowMs()));
    }
    const replies = await this.#fire(sent);
    // If this process dies here, the status does not name the requests: the next engine asks again, and is told `duplicate`.
    const unfired: Unfired[] = [];
    for (const [index, one] of sent.entries()) {
      const problem = await this.#takeAnnotated(one, replies[index]);
      if (problem !== undefined) unfired.push(problem);
    }
    return unfired;
  }

  /** Fires what the mailbox asks for: whatever is decided of a request, the same step takes it out of there. */
  async fireRequested(entries: () => Iterable<Entry>): Promise<readonly Unfired[]> {
    const { clock, install } = this.#context;
    if (clock.monotonic() - this.#mailAtMs < LOOK_EVERY_MS) return [];
    const requests = await this.#queue.schedules.requested(install, REQUESTS_PER_LOOK);
    this.#mailAtMs = clock.monotonic();
    if (requests.length === 0) return [];
    const byUid = new Map([...entries()].map((entry) => [entry.object.uid, entry]));
    // What is not adopted here yet waits: another engine may serve it, or this one at a later look.
    const sent = requests.flatMap((request): Sent[] => {
      const entry = byUid.get(request.uid);
      return entry !== undefined && isAdopted(entry) ? [this.#posted(entry, request)] : [];
    });
    const replies = await this.#fire(sent);
    return sent.flatMap((one, index) => this.#takeRequested(one, replies[index]) ?? []);
  }

  /**
   * Looks at runs that have not ended.
   * @returns the entries whose echo has changed
   */
  async follow(): Promise<readonly Entry[]> {
    const nowMs = this.#context.clock.monotonic();
    const due = [...this.#followed].filter(([, atMs]) => atMs <= nowMs).slice(0, FOLLOWED_PER_TURN);
    const changed = await Promise.all(due.map(([key]) => this.#lookAt(key)));
    return changed.filter((entry) => entry !== undefined);
  }

  /** What an earlier engine, or another one meanwhile, wrote into the status. */
  #learn(entry: Entry): void {
    const told = echoOfStatus(entry.object.status);
    const isNews =
      told !== undefined &&
      told.request === entry.object.annotations?.[RUN_NOW] &&
      told.request !== entry.trigger?.request;
    if (isNews) entry.trigger = told;
    this.#watch(entry);
  }

  #admit(entry: Entry, asked: Asked, field = ANNOTATED_PARAMS): Admission {
    return admit(entry, asked, field, { catalog: this.#catalog, allow: this.#context.allow });
  }

  #posted(entry: Entry, { request, params, requestedAtMs }: RequestedRun): Sent {
    const asked = {
      ...{ request, notAfterMs: requestedAtMs + REQUEST_KEPT_MS },
      ...(params !== undefined && { params }),
    };
    return { entry, asked, admission: this.#admit(entry, asked, 'params') };
  }

  async #fire(sent: readonly Sent[]): Promise<readonly FireReply[]> {
    if (sent.length === 0) return [];
    return this.#queue.schedules.fire(
      sent.map(({ entry: { object, definition }, asked: { request, notAfterMs }, admission }) => {
        const verdict = admission.ok
          ? admission.params !== undefined && { params: admission.params }
          : { refusal: admission.refusal.reason };
        const trigger = { kind: 'trigger', request, ...verdict } as const;
        const bounded = { ...trigger, ...(notAfterMs !== undefined && { notAfterMs }) };
        return fireRequest(object.uid, object.generation, definition, [bounded]);
      }),
    );
  }

  async #takeAnnotated(sent: Sent, reply: FireReply | undefined): Promise<Unfired | undefined> {
    const { entry, asked } = sent;
    if (reply?.outcome !== 'ok') return unfired(entry, reply);
    const made = decisionOf(reply.decisions[0]);
    if (made === undefined) this.#echo(entry, await this.#find(entry, asked));
    else this.#echo(entry, this.#decided(sent, made));
    return undefined;
  }

  #takeRequested(sent: Sent, reply: FireReply | undefined): Unfired | undefined {
    const { entry } = sent;
    if (reply?.outcome !== 'ok') return unfired(entry, reply);
    const made = decisionOf(reply.decisions[0]);
    if (made !== undefined)
      this.#context.observer.triggered({ ...refOf(entry), ...this.#decided(sent, made) });
    return undefined;
  }

  /** Notes a decision among the recent ones of the object. */
  #decided({ entry, asked, admission }: Sent, made: NonNullable<ReturnType<typeof decisionOf>>): TriggerEcho {
    const atMs = this.#nowMs();
    entry.recent = withDecision(entry.recent, { fromMs: atMs, slotMs: atMs, count: 1, ...made });
    const detail = admission.ok ? undefined : admission.refusal.message;
    return decidedEcho(asked.request, made, atMs, made.reason === 'DeadlineExceeded' ? undefined : detail);
  }

  /** What became of a request that was decided, or taken for handled, before we asked. */
  async #find({ object: { uid } }: Entry, { request }: Asked): Promise<TriggerEcho> {
    const { runs, schedules } = this.#queue;
    const runId = triggerRunId(uid, request);
    const run = await runs.get(runId);
    if (run !== undefined) return runEcho(request, run, run.enqueuedAtMs);
    const decisions = await schedules.decisions(uid, { limit: DECISIONS_SEARCHED });
    const decision = decisions.findLast((record) => record.request === request);
    if (decision === undefined) return recordedEcho(request, this.#nowMs());
    return decidedEcho(request, { ...decision, runId }, decision.decidedAtMs);
  }

  async #lookAt(key: ObjectKey): Promise<Entry | undefined> {
    const entry = this.#entryOf(key);
    const echo = entry?.trigger;
    if (entry === undefined || echo?.runId === undefined || isFinal(echo)) {
      this.#followed.delete(key);
      return undefined;
    }
    const seen = await this.#seen(entry, echo, echo.runId);
    // The annotation may have been changed, and followed by another request, while we asked.
    if (entry.trigger !== echo) return undefined;
    this.#followed.delete(key);
    const told = seen ?? lostEcho(echo);
    if (isSameEcho(echo, told)) {
      // One that is gone is looked for again only when the object changes.
      if (seen !== undefined) this.#watch(entry);
      return undefined;
    }
    entry.trigger = told;
    this.#watch(entry);
    return entry;
  }

  /** `undefined`: neither the record of the run is left, nor is it the last one that the schedule remembers. */
  async #seen(
    { object: { uid } }: Entry,
    echo: TriggerEcho,
    runId: string,
  ): Promise<TriggerEcho | undefined> {
    const { runs, schedules } = this.#queue;
    const run = await runs.get(runId);
    if (run !== undefined) return runEcho(echo.request, run, echo.atMs);
    const [state] = await schedules.states([uid]);
    return state?.lastRun?.id === runId ? runEcho(echo.request, state.lastRun, echo.atMs) : undefined;
  }

  #echo(entry: Entry, echo: TriggerEcho): void {
    entry.trigger = echo;
    this.#context.observer.triggered({ ...refOf(entry), ...echo });
    this.#watch(entry);
  }

  #watch({ object: { key }, trigger }: Pick<Entry, 'object' | 'trigger'>): void {
    if (trigger?.runId === undefined || isFinal(trigger) || this.#followed.has(key)) return;
    this.#followed.set(key, this.#context.clock.monotonic() + LOOK_EVERY_MS);
  }

  #nowMs(): number {
    return this.#context.brokerClock.estimate();
  }
}

function unfired(entry: Entry, reply: Exclude<FireReply, { readonly outcome: 'ok' }> | undefined): Unfired {
  return reply?.outcome === 'stale'
    ? { kind: 'stale', entry, generation: reply.generation, withdrawn: reply.withdrawn }
    : { kind: 'no-memory', entry };
}

const invalidId = ({ request }: Asked): string =>
  `metadata.annotations[${RUN_NOW}]: ${quoted(request)} ${REQUEST_ID_RULE}`;
