/** Where events about objects go: the port that the Kubernetes room fills. */

/** One event as it stands in the API server; repeats only raise its count and its last time. */
export interface EventRecord {
  /** Name of the event in its namespace. The same occurrence has the same one, so that a create may be repeated. */
  readonly eventName: string;
  readonly namespace: string;
  /** Name and uid of the object that it is about. */
  readonly name: string;
  readonly uid: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly message: string;
  /** Occurrences so far, and when the first and the last one were, ms since the epoch. */
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/**
 * - `gone`: the event to be repeated, or its namespace, is no more
 * - `refused`: the server does not take this event, and would not take it a second later either
 */
export type EventOutcome = 'written' | 'gone' | 'refused';

export interface EventStore {
  /** @throws when the server is out of reach, overloaded or broken: everything waits a moment */
  create(event: EventRecord): Promise<EventOutcome>;
  /** Raises the count of an event that was created before. @throws as `create` */
  repeat(event: EventRecord): Promise<EventOutcome>;
}

/** What metrics see: called synchronously, must be quick and not throw. */
export interface EventObserver {
  /** `dropped`: too much waited already, so this occurrence is told nowhere. */
  recorded(event: { readonly reason: string; readonly outcome: EventOutcome | 'failed' | 'dropped' }): void;
}

export const SILENT_EVENT_OBSERVER: EventObserver = { recorded: () => undefined };
