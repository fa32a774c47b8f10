/** Incarnations and their leases: who may hold runs, and what becomes of the runs of those that are gone. */
import {
  DEFAULT_LEASE_MS,
  MANIFEST_KEPT_MS,
  type Cancellation,
  type RecoverReply,
  type Registration,
} from '../broker.ts';
import type { Incarnation, QueueState } from './queue-state.ts';
import type { Run } from './run.ts';
import { endIfCancelled, giveBack } from './settle.ts';

/** Runs given back in one recovery pass: bounded on Redis, and both brokers decide alike. */
const RECOVER_CHUNK = 500;

export function register(queue: QueueState, registration: Registration): void {
  const { incarnation: id, leaseMs, manifest, settings, consumer } = registration;
  queue.settings = settings;
  queue.leaseMs = leaseMs > 0 ? leaseMs : DEFAULT_LEASE_MS;
  const known = queue.incarnations.get(id);
  const taskNames = new Set(manifest.tasks.map((task) => task.name));
  const leaseExpiresAtMs = queue.clock.now() + leaseMs;
  queue.incarnations.set(id, {
    ...{ id, leaseMs, leaseExpiresAtMs, manifest, taskNames, consumer },
    held: known?.held ?? new Map<string, Run>(),
    fenced: known?.fenced ?? new Map<string, string>(),
  });
  if (known !== undefined && known.manifest.hash !== manifest.hash) seeManifest(queue, known);
  queue.manifests.set(manifest.hash, { manifest, lastSeenMs: queue.clock.now() });
  queue.decideTasks();
}

/** Renews by any sign of life: a lease that is over but was not ended by a recovery pass goes on. */
export function renew(queue: QueueState, id: string): Incarnation | undefined {
  const incarnation = queue.incarnations.get(id);
  if (incarnation === undefined) return undefined;
  incarnation.leaseExpiresAtMs = queue.clock.now() + incarnation.leaseMs;
  noteLife(queue, incarnation.leaseMs);
  return incarnation;
}

/** A consumer is heard of several times in a lease. A silence of all for half of that means that the broker was away. */
function noteLife(queue: QueueState, leaseMs: number): void {
  const nowMs = queue.clock.now();
  if (nowMs > queue.heardUntilMs) queue.wasAway = true;
  queue.heardUntilMs = Math.max(queue.heardUntilMs, nowMs + Math.floor(leaseMs / 2));
}

export function cancellationsOf(incarnation: Incarnation): readonly Cancellation[] {
  const cancellations = [...incarnation.fenced].map(([id, reason]) => ({ id, reason }));
  for (const run of incarnation.held.values()) {
    if (run.cancelRequested !== undefined) cancellations.push({ id: run.id, reason: run.cancelRequested });
  }
  return cancellations;
}

/** What the incarnation holds. Its consumer compares, so it need not be told of fenced runs again. */
export function heldBy(incarnation: Incarnation): readonly { readonly id: string; readonly token: string }[] {
  incarnation.fenced.clear();
  return [...incarnation.held.values()].map((run) => ({ id: run.id, token: run.token ?? '' }));
}

export function leave(queue: QueueState, id: string): void {
  const incarnation = queue.incarnations.get(id);
  if (incarnation === undefined) return;
  for (const run of [...incarnation.held.values()]) giveBack(queue, run, 0);
  remove(queue, incarnation);
}

export function recover(queue: QueueState): RecoverReply {
  const nowMs = queue.clock.now();
  noteLife(queue, queue.leaseMs);
  const amnesty = queue.wasAway;
  queue.wasAway = false;
  const ended = amnesty ? grantAll(queue, nowMs) : endExpired(queue, nowMs);
  forgetOldManifests(queue, nowMs);
  return { amnesty, ended, ...returnRuns(queue), more: queue.dead.length > 0 };
}

function grantAll(queue: QueueState, nowMs: number): readonly string[] {
  for (const incarnation of queue.incarnations.values()) {
    incarnation.leaseExpiresAtMs = Math.max(incarnation.leaseExpiresAtMs, nowMs + incarnation.leaseMs);
  }
  return [];
}

function endExpired(queue: QueueState, nowMs: number): readonly string[] {
  const expired = [...queue.incarnations.values()].filter(
    ({ leaseExpiresAtMs }) => leaseExpiresAtMs <= nowMs,
  );
  for (const incarnation of expired) {
    remove(queue, incarnation);
    if (incarnation.held.size > 0) queue.dead.push(incarnation.held);
  }
  return expired.map(({ id }) => id);
}

/** Gives back a bounded number of the runs of dead incarnations. */
function returnRuns(queue: QueueState): Pick<RecoverReply, 'returned' | 'deadLettered'> {
  const deadLettered: { readonly id: string; readonly task: string }[] = [];
  let returned = 0;
  let left = RECOVER_CHUNK;
  for (let held = queue.dead[0]; held !== undefined && left > 0; held = queue.dead[0]) {
    for (const run of [...held.values()].slice(0, left)) {
      left -= 1;
      const fate = returnRun(queue, run);
      if (fate === 'returned') returned += 1;
      if (fate === 'dead') deadLettered.push({ id: run.id, task: run.task });
    }
    if (held.size === 0) queue.dead.shift();
  }
  return { returned, deadLettered };
}

/** A run that a process died with comes back as a suspect; one that killed too many as the only suspect does not. */
function returnRun(queue: QueueState, run: Run): 'returned' | 'dead' | 'cancelled' {
  if (run.suspect) run.deaths += 1;
  if (endIfCancelled(queue, run)) return 'cancelled';
  if (run.deaths >= queue.settings.maxDeliveries) {
    const message = `ended ${run.deaths} processes while it was the only suspect in each; redrive it once the task is mended`;
    queue.end(run, 'failed', { error: { reason: 'TooManyDeliveries', name: 'TooManyDeliveries', message } });
    return 'dead';
  }
  queue.withdraw(run);
  run.suspect = true;
  queue.putBack(run, 'back');
  return 'returned';
}

function remove(queue: QueueState, incarnation: Incarnation): void {
  queue.incarnations.delete(incarnation.id);
  seeManifest(queue, incarnation);
  queue.decideTasks();
}

/** From now on the manifest lives on without this incarnation. */
function seeManifest(queue: QueueState, { manifest }: Incarnation): void {
  queue.manifests.set(manifest.hash, { manifest, lastSeenMs: queue.clock.now() });
}

function isLive(queue: QueueState, manifestHash: string): boolean {
  return [...queue.incarnations.values()].some(({ manifest }) => manifest.hash === manifestHash);
}

function forgetOldManifests(queue: QueueState, nowMs: number): void {
  for (const [hash, { lastSeenMs }] of queue.manifests) {
    if (nowMs - lastSeenMs > MANIFEST_KEPT_MS && !isLive(queue, hash)) queue.manifests.delete(hash);
  }
}
