/**
 * Every key of a queue, and the shape of what it holds. All begin with `<prefix>:{<queue>}:`, so a queue lives in one
 * slot of a cluster and two installs with different prefixes can share a Redis. The Lua library derives the same names
 * from KEYS[1] (the meta hash); `test/integration/redis/keys.test.ts` compares the two.
 */
import { TidemillError } from '../../runtime/errors.ts';
import { PRIORITIES, type Executor, type Priority } from '../../task/run.ts';
import { quoted } from '../../runtime/printable.ts';

export const DEFAULT_PREFIX = 'tidemill';
const PREFIX_PATTERN = /^[A-Za-z0-9_.:-]{1,64}$/;

/** @throws TidemillError CONFIG_INVALID */
export function checkPrefix(prefix: string): string {
  if (PREFIX_PATTERN.test(prefix)) return prefix;
  throw new TidemillError(
    'CONFIG_INVALID',
    `key prefix ${quoted(prefix)} must be 1 to 64 letters, digits, '_', '.', ':' or '-'`,
  );
}

/** The first letter of a lane's name. */
const LANE_LETTER: Readonly<Record<Priority, string>> = { high: 'h', medium: 'm', low: 'l' };

/** One task at one priority: `m:fetch-data`. Runs of it that a process died with wait apart, in `s:fetch-data`. */
export function laneName(task: string, priority: Priority): string {
  return `${LANE_LETTER[priority]}:${task}`;
}

/** What a lane's name says; `undefined` for a name that is none, and for a lane of suspects. */
export function parseLane(lane: string): { readonly task: string; readonly priority: Priority } | undefined {
  const priority = PRIORITIES.find((candidate) => LANE_LETTER[candidate] === lane[0]);
  if (priority === undefined || lane[1] !== ':' || lane.length < 3) return undefined;
  return { task: lane.slice(2), priority };
}

/** Manifest hashes stand in keys, and between semicolons in held hashes. */
export function encodeManifestHash(hash: string): string {
  return hash.replaceAll(
    /[;\s%{}]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

export function decodeManifestHash(encoded: string): string {
  return encoded.replaceAll(/%([0-9a-f]{2})/g, (_match, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** Keys of the install, outside every queue. */
export function installKeys(prefix: string) {
  return {
    /** SET: names of all queues that were ever used. */
    queues: `${prefix}:queues`,
    /** STRING with a time to live: who holds the lock of that name. */
    lock: (name: string) => `${prefix}:lock:${name}`,
  };
}

/** All keys of one queue. */
export function queueKeys(prefix: string, queue: string) {
  const base = `${prefix}:{${queue}}:`;
  return {
    base,
    /** HASH: format number, counters, settings (`lib/base.lua` lists the fields). KEYS[1] of every script. */
    meta: `${base}meta`,
    ...runKeys(base),
    ...taskKeys(base),
    ...incarnationKeys(base),
    ...scheduleKeys(base),
  };
}

/** Runs by what they wait for, their ends, and who made them. */
function runKeys(base: string) {
  return {
    /** HASH run id → record (`record.ts`): every run that is known, whatever its state. */
    runs: `${base}runs`,

    /** LIST of run ids, oldest first. May hold ids of runs that were cancelled since: claim steps over them. */
    lane: (lane: string) => `${base}lane:${lane}`,
    /** HASH lane → its virtual time when it last left its ready set, 0 at first. Lists every lane that was ever used. */
    lanes: `${base}lanes`,
    /** HASH lane → how many ids in its list are of runs that no longer wait there. */
    ghosts: `${base}ghosts`,
    /** ZSET lane → virtual time: lanes that are not empty, not paused and below their task's limit. */
    ready: (executor: Executor) => `${base}ready:${executor}`,
    /** ZSET lane of suspects → ms when it became ready or was last served: as `ready`, for runs that a process died with. */
    suspects: (executor: Executor) => `${base}suspects:${executor}`,
    /** ZSET run id → ms when it becomes ready. */
    delayed: `${base}delayed`,
    /** ZSET run id → ms when it ends as expired; only runs that wait and have an expiry. */
    expiring: `${base}expiring`,

    /** LIST of ids of runs that succeeded, were cancelled or expired, oldest first. */
    done: `${base}done`,
    /** LIST of ids of failed runs, oldest first. */
    dead: `${base}dead`,
    /** HASH run id → how many entries of it in `dead` are void because it was redriven. */
    redriven: `${base}redriven`,
    /** STREAM, one entry a transition: field `ids`, the runs that it ended, space between. Only a hint. */
    outcomes: `${base}outcomes`,

    /** HASH slot → `number answers` of its last batch, one letter each. Lives for 10 minutes after the last batch. */
    producer: (producer: string) => `${base}producer:${producer}`,
  };
}

/** Tasks, and the manifests that name them. */
function taskKeys(base: string) {
  return {
    /** HASH task → `executor;limit` as the newest live build says; limit empty: none. */
    tasks: `${base}tasks`,
    /** HASH task → how many runs of it are held. */
    active: `${base}active`,
    /** SET of paused tasks. */
    paused: `${base}paused`,

    /** HASH manifest hash → manifest as JSON. */
    manifests: `${base}manifests`,
    /** HASH task → `executor;limit;schema hash`, as that manifest says. */
    manifest: (hash: string) => `${base}manifest:${hash}`,
    /** HASH manifest hash → how many live incarnations have it. */
    live: `${base}live`,
    /** HASH manifest hash → ms when its tasks were built. */
    builds: `${base}builds`,
    /** ZSET manifest hash → ms when a consumer with it was last known to live. */
    seen: `${base}seen`,
  };
}

/** Incarnations of consumers: their leases, what they hold, and how they are woken. */
function incarnationKeys(base: string) {
  return {
    /** ZSET incarnation → ms when its lease ends. */
    leases: `${base}leases`,
    /** HASH incarnation → `manifest hash\nJSON for people`. */
    consumers: `${base}consumers`,
    /**
     * HASH: run id → `token`, or `token\nreason as JSON` when its cancellation was asked for (an empty token: the run was
     * taken away). Fields that begin with a space are not runs: ` lease` (`leaseMs;manifest hash;padding`),
     * ` suspect` (run id), ` stop` (ids to cancel, space between), ` off` (number of the last claim that was called off). The
     * incarnation is alive while ` lease` exists.
     */
    held: (incarnation: string) => `${base}held:${incarnation}`,
    /** HASH: the held hash of an ended incarnation, renamed; drained in chunks. */
    fenced: (serial: string) => `${base}fenced:${serial}`,
    /** HASH serial of a fenced hash → `mode;cursor;incarnation`, mode `d` (died) or `l` (left). */
    dying: `${base}dying`,
    /** ZSET incarnation → minus its free slots: consumers with that manifest that wait to be woken. */
    idle: (executor: Executor, manifestHash: string) => `${base}idle:${executor}:${manifestHash}`,
    /** STREAM, at most one entry: this incarnation should claim. Deleted by its claim. */
    wake: (incarnation: string) => `${base}wake:${incarnation}`,
  };
}

/** Schedules that fire into this queue. */
function scheduleKeys(base: string) {
  return {
    /**
     * HASH: fields named as in `ScheduleState` (`withdrawnAtMs` instead of `withdrawn`, `active` is counted), plus install,
     * namespace, name, and `requests` (JSON strings with a newline between); `lastRun` as in `record.ts`.
     */
    schedule: (uid: string) => `${base}schedule:${uid}`,
    /** SET of run ids in flight: pending, delayed, running or triggered by hand. */
    inflight: (uid: string) => `${base}inflight:${uid}`,
    /** LIST of decision records (`schedule-text.ts`), oldest first, capped. */
    decisions: (uid: string) => `${base}decisions:${uid}`,
    /** LIST of eras (`schedule-text.ts`), oldest first, capped. */
    eras: (uid: string) => `${base}eras:${uid}`,
    /** ZSET uid → ms when it was withdrawn: tombstones, to be dropped when they are old. */
    tombstones: `${base}tombstones`,
    /** ZSET `uid\nrequest as JSON` → ms when it was asked for: runs by hand that wait for an engine, capped. */
    asked: `${base}asked`,
    /** HASH the same → params as JSON, where the request has its own. */
    askedParams: `${base}asked-params`,
    /** HASH uid → `namespace\nname` of the schedules of this install that are not withdrawn. */
    install: (install: string) => `${base}install:${install}`,
  };
}

export type QueueKeys = ReturnType<typeof queueKeys>;
