/** Events about `ScheduledTask` objects, in events.k8s.io/v1: created once, and repeats told by their series. */
import {
  EventsV1Event,
  EventsV1EventSeries,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
  V1ObjectMeta,
  V1ObjectReference,
} from '@kubernetes/client-node';
import { API_VERSION, GROUP, KIND } from '../resource/scheduled-task.ts';
import type { Clock } from '../runtime/clock.ts';
import { apiStatusOf } from './api-error.ts';
import { isRefusal, KubeBusyError } from './busy-error.ts';
import type { KubeConnection } from './connect.ts';

export const REPORTING_CONTROLLER = `${GROUP}/controller`;
/** Bounds of the API server. */
const INSTANCE_MAX_LENGTH = 128;
const NOTE_MAX_BYTES = 1_024;

/** One event as it stands, or is to stand. */
export interface KubeEvent {
  readonly eventName: string;
  readonly namespace: string;
  /** Name and uid of the object that it is about. */
  readonly name: string;
  readonly uid: string;
  readonly type: string;
  readonly reason: string;
  readonly action: string;
  readonly message: string;
  readonly count: number;
  /** ms since the epoch. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface KubeEventStoreOptions {
  readonly connection: Pick<KubeConnection, 'events'>;
  readonly clock: Clock;
  /** Names this replica, such as its pod. */
  readonly instance: string;
}

type Outcome = 'written' | 'gone' | 'refused';

export class KubeEventStore {
  readonly #options: KubeEventStoreOptions;

  constructor(options: KubeEventStoreOptions) {
    this.#options = options;
  }

  /** @throws KubeBusyError when the server is out of reach, overloaded, or does not let us */
  async create(event: KubeEvent): Promise<Outcome> {
    const { connection, instance } = this.#options;
    const body = eventBody(event, instance.slice(0, INSTANCE_MAX_LENGTH));
    return await this.#send(event, () =>
      connection.events.createNamespacedEvent({ namespace: event.namespace, body }),
    );
  }

  /** @throws as `create` */
  async repeat(event: KubeEvent): Promise<Outcome> {
    const { namespace, eventName, count, lastMs } = event;
    const body = { series: { count, lastObservedTime: new V1MicroTime(lastMs).toISOString() } };
    const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    return await this.#send(event, () =>
      this.#options.connection.events.patchNamespacedEvent({ namespace, name: eventName, body }, options),
    );
  }

  async #send({ namespace }: KubeEvent, send: () => Promise<unknown>): Promise<Outcome> {
    try {
      await send();
      return 'written';
    } catch (error) {
      const { code, message } = apiStatusOf(error);
      // A create whose answer was lost finds its own event.
      if (code === 409) return 'written';
      if (code === 404 || (code === 403 && message.includes('being terminated'))) return 'gone';
      if (isRefusal(error)) return 'refused';
      throw new KubeBusyError(error, `write an event in ${namespace}`, this.#options.clock.now());
    }
  }
}

function eventBody(event: KubeEvent, instance: string): EventsV1Event {
  const { namespace, name, uid, count } = event;
  const body = new EventsV1Event();
  body.metadata = Object.assign(new V1ObjectMeta(), { namespace, name: event.eventName });
  body.regarding = Object.assign(new V1ObjectReference(), {
    apiVersion: API_VERSION,
    kind: KIND,
    ...{ namespace, name, uid },
  });
  body.eventTime = new V1MicroTime(event.firstMs);
  body.reportingController = REPORTING_CONTROLLER;
  body.reportingInstance = instance;
  body.type = event.type;
  body.reason = event.reason;
  body.action = event.action;
  body.note = cutBytes(event.message, NOTE_MAX_BYTES);
  if (count > 1) body.series = seriesOf(event);
  return body;
}

/** The API server refuses a series of one. */
function seriesOf({ count, lastMs }: KubeEvent): EventsV1EventSeries {
  return Object.assign(new EventsV1EventSeries(), { count, lastObservedTime: new V1MicroTime(lastMs) });
}

/** The bound is in bytes, and half a character must not be left at the end. */
function cutBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  return new TextDecoder().decode(bytes.subarray(0, maxBytes - 3)).replace(/\uFFFD+$/u, '') + '…';
}
