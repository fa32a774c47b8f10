/**
 * Like occurrences as one event with a count, at a bounded rate: an object that fails every second must not fill etcd.
 *
 * As client-go does it: like ones within 6 minutes make a series; an object has a burst of 25 writes and then one every
 * 5 minutes. Beyond that, all objects together share one rate. No timers: the owner asks, and looks at `nextAtMs`.
 */
import { createHash } from 'node:crypto';
import { cut } from '../runtime/printable.ts';
import { DueHeap } from './due-heap.ts';
import type { EventIntent } from './event-intents.ts';
import { EVENTS } from './event-reasons.ts';
import type { EventRecord } from './event-store.ts';
import { TokenBucket } from './token-bucket.ts';

export interface EventTarget {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** A series that saw nothing for so long is over: the next occurrence is an event of its own. */
const SERIES_IDLE_MS = 6 * 60_000;
/** Repeats of a series are written together, this far apart. */
const REPEAT_EVERY_MS = 10_000;
const OBJECT_RATE = { perSecond: 1 / 300, burst: 25 };
/** Events are the smallest part of all that is written. */
const TOTAL_RATE = { perSecond: 3, burst: 10 };
/** Events that may wait to be made; what comes beyond is told nowhere, since news of an hour ago is none. */
const MOST_WAITING = { Normal: 200, Warning: 1_000 };
/** How much earlier a warning stands in line than what is normal. */
const WARNINGS_FIRST_MS = 3_600_000;
const MESSAGE_MAX_LENGTH = 1_000;

interface Series {
  record: EventRecord;
  /** Occurrences that the API server knows of; 0: the event is not there yet. */
  written: number;
  /** On the monotonic clock. */
  lastAtMs: number;
}

export interface DueEvent {
  readonly key: string;
  readonly kind: 'create' | 'repeat';
  readonly record: EventRecord;
}

export class EventSeries {
  readonly #series = new Map<string, Series>();
  readonly #due = new DueHeap<string>();
  readonly #objects = new Map<string, TokenBucket>();
  readonly #total: TokenBucket;
  /** Events that are not there yet. */
  readonly #waiting = { Normal: 0, Warning: 0 };

  constructor(nowMs: number) {
    this.#total = new TokenBucket(TOTAL_RATE, nowMs);
  }

  /**
   * @param nowMs - monotonic
   * @param wallMs - since the epoch
   * @returns false when there is no room for it
   */
  add(target: EventTarget, intent: EventIntent, nowMs: number, wallMs: number): boolean {
    const { reason, message, likeness = message, count = 1 } = intent;
    const key = JSON.stringify([target.uid, reason, likeness]);
    const known = this.#series.get(key);
    if (known !== undefined && (known.written === 0 || nowMs - known.lastAtMs <= SERIES_IDLE_MS)) {
      const { record } = known;
      known.record = { ...record, count: record.count + count, lastMs: Math.max(wallMs, record.lastMs) };
      known.lastAtMs = nowMs;
      if (!this.#due.has(key)) this.#due.set(key, nowMs + REPEAT_EVERY_MS);
      return true;
    }
    const { type, action } = EVENTS[reason];
    if (this.#waiting[type] >= MOST_WAITING[type]) return false;
    this.#waiting[type] += 1;
    const record: EventRecord = {
      ...{ ...target, eventName: eventName(target.name, key, wallMs), type, reason, action },
      ...{ message: cut(message, MESSAGE_MAX_LENGTH), count, firstMs: wallMs, lastMs: wallMs },
    };
    this.#series.set(key, { record, written: 0, lastAtMs: nowMs });
    this.#due.set(key, type === 'Warning' ? nowMs - WARNINGS_FIRST_MS : nowMs);
    return true;
  }

  /** The next event to write. Give it back with `wrote`, `retry` or `forget`. */
  take(nowMs: number): DueEvent | undefined {
    for (let first = this.#due.first; first !== undefined && first.atMs <= nowMs; first = this.#due.first) {
      const { key } = first;
      const series = this.#series.get(key);
      if (series === undefined) {
        this.#due.delete(key);
        continue;
      }
      if (this.#total.nextAtMs(nowMs) > nowMs) return undefined;
      const object = this.#objectBucket(series.record.uid, nowMs);
      if (!object.take(nowMs)) {
        this.#due.set(key, object.nextAtMs(nowMs));
        continue;
      }
      this.#total.take(nowMs);
      this.#due.delete(key);
      return { key, kind: series.written === 0 ? 'create' : 'repeat', record: series.record };
    }
    return undefined;
  }

  /** What came since it was taken waits already. */
  wrote({ key, record }: DueEvent): void {
    const series = this.#series.get(key);
    if (series?.record.eventName !== record.eventName) return;
    if (series.written === 0) this.#waiting[record.type] -= 1;
    series.written = record.count;
  }

  retry({ key, record }: DueEvent, nowMs: number): void {
    if (this.#series.get(key)?.record.eventName === record.eventName && !this.#due.has(key))
      this.#due.set(key, nowMs);
  }

  forget({ key, record }: DueEvent): void {
    const series = this.#series.get(key);
    if (series?.record.eventName !== record.eventName) return;
    if (series.written === 0) this.#waiting[record.type] -= 1;
    this.#series.delete(key);
    this.#due.delete(key);
  }

  /** When `take` may give something; `undefined`: nothing waits. */
  nextAtMs(nowMs: number): number | undefined {
    const { earliestMs } = this.#due;
    return earliestMs === undefined ? undefined : Math.max(earliestMs, this.#total.nextAtMs(nowMs));
  }

  /** Forgets series that are over, and objects that nothing was said of for long. */
  sweep(nowMs: number): void {
    for (const [key, series] of this.#series)
      if (series.written === series.record.count && nowMs - series.lastAtMs > SERIES_IDLE_MS)
        this.#series.delete(key);
    for (const [uid, bucket] of this.#objects) if (bucket.isFull(nowMs)) this.#objects.delete(uid);
  }

  clear(): void {
    this.#series.clear();
    this.#waiting.Normal = 0;
    this.#waiting.Warning = 0;
    for (let key = this.#due.popDue(Infinity); key !== undefined; key = this.#due.popDue(Infinity));
  }

  #objectBucket(uid: string, nowMs: number): TokenBucket {
    const known = this.#objects.get(uid);
    if (known !== undefined) return known;
    const bucket = new TokenBucket(OBJECT_RATE, nowMs);
    this.#objects.set(uid, bucket);
    return bucket;
  }
}

/** A create whose answer was lost is sent again under the same name, and finds itself. */
function eventName(name: string, key: string, wallMs: number): string {
  const digest = createHash('sha256').update(`${key} ${wallMs}`).digest('hex');
  return `${name}.${digest.slice(0, 16)}`;
}
