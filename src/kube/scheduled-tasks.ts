/** `ScheduledTask` objects on the API server: list, read, patch, and their status. What is read is raw; `toScheduledObject` reads it. */
import { type CustomObjectsApi, PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import { z } from 'zod';
import {
  API_VERSION,
  GROUP,
  KIND,
  PLURAL,
  type ScheduledTaskStatus,
  VERSION,
} from '../resource/scheduled-task.ts';
import { TidemillError } from '../runtime/errors.ts';
import { apiStatusOf, CRD_HINT, kubeError } from './api-error.ts';
import type { KubeConnection } from './connect.ts';

/** One stable name, so that every replica writes the same fields. */
export const STATUS_FIELD_MANAGER = 'tidemill-controller';

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

export interface ListPage {
  readonly items: readonly unknown[];
  /** Of the whole list: the same on each of its pages. */
  readonly resourceVersion: string;
  /** Asks for the next page; absent on the last one. */
  readonly continue?: string;
}

export interface StatusWrite extends ObjectName {
  readonly uid: string;
  /** The write is refused when the object has another one by now. */
  readonly resourceVersion: string;
  readonly status: ScheduledTaskStatus;
}

/** `applied` tells the version that the write made: the next write may carry it before the watch brings it. */
export type StatusAnswer =
  | { readonly kind: 'applied'; readonly resourceVersion: string }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'gone' };

const RESOURCE = { group: GROUP, version: VERSION, plural: PLURAL };
const ListSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()),
});
const VersionedSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }) });

export interface ScheduledTasksApiOptions {
  /** Whether reads are repeated for a while when the server is busy or away. Default true; not for whoever has a loop. */
  readonly patient?: boolean;
}

/** All calls throw TidemillError with a KUBE_ code; `apiStatusOf` tells what the server said. */
export class ScheduledTasksApi {
  readonly #custom: CustomObjectsApi;

  constructor(connection: KubeConnection, { patient = true }: ScheduledTasksApiOptions = {}) {
    this.#custom = patient ? connection.custom : connection.customOnce;
  }

  /** @param namespace - `undefined`: all. @param limit - objects on a page; absent: all on one */
  async list(
    namespace: string | undefined,
    { limit, continue: from }: { readonly limit?: number; readonly continue?: string } = {},
  ): Promise<ListPage> {
    const page = { ...(limit !== undefined && { limit }), ...(from !== undefined && { _continue: from }) };
    const { group, version, plural } = RESOURCE;
    return await call(`list ScheduledTasks in ${namespace ?? 'all namespaces'}`, async () => {
      const answer: unknown =
        namespace === undefined
          ? await this.#custom.listCustomObjectForAllNamespaces({
              group,
              version,
              resourcePlural: plural,
              ...page,
            })
          : await this.#custom.listNamespacedCustomObject({ ...RESOURCE, namespace, ...page });
      const { metadata, items } = ListSchema.parse(answer);
      const { resourceVersion, continue: next } = metadata;
      return { items, resourceVersion, ...(next !== undefined && next !== '' && { continue: next }) };
    });
  }

  /** @returns `undefined` when there is none */
  async read({ namespace, name }: ObjectName): Promise<unknown> {
    return await call(`read ScheduledTask ${namespace}/${name}`, () =>
      undefinedWhenMissing(() => this.#custom.getNamespacedCustomObject({ ...RESOURCE, namespace, name })),
    );
  }

  /** A JSON merge patch, for annotations and `suspend`. @returns the object as it is then; `undefined` when there is none */
  async patch({ namespace, name }: ObjectName, body: object): Promise<unknown> {
    const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    return await call(`patch ScheduledTask ${namespace}/${name}`, () =>
      undefinedWhenMissing(() =>
        this.#custom.patchNamespacedCustomObject({ ...RESOURCE, namespace, name, body }, options),
      ),
    );
  }

  /**
   * Replaces the whole status by server-side apply: what is left out vanishes. The version keeps it from another object of
   * that name, because an apply to `/status` looks at no uid.
   */
  async applyStatus({ namespace, name, uid, resourceVersion, status }: StatusWrite): Promise<StatusAnswer> {
    const body = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { namespace, name, uid, resourceVersion },
      status,
    };
    const options = setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply);
    try {
      const answer: unknown = await this.#custom.patchNamespacedCustomObjectStatus(
        { ...RESOURCE, namespace, name, body, fieldManager: STATUS_FIELD_MANAGER, force: true },
        options,
      );
      return { kind: 'applied', resourceVersion: VersionedSchema.parse(answer).metadata.resourceVersion };
    } catch (error) {
      const { code } = apiStatusOf(error);
      if (code === 409) return { kind: 'conflict' };
      if (code === 404) return { kind: 'gone' };
      throw kubeError(error, `write the status of ScheduledTask ${namespace}/${name}`);
    }
  }
}

/** Path of the collection, for a watch. @param namespace - `undefined`: all */
export function collectionPath(namespace: string | undefined): string {
  const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/${GROUP}/${VERSION}${within}/${PLURAL}`;
}

async function call<T>(doing: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    throw kubeError(error, doing);
  }
}

async function undefinedWhenMissing(send: () => Promise<unknown>): Promise<unknown> {
  try {
    return await send();
  } catch (error) {
    const { code, reason } = apiStatusOf(error);
    if (code !== 404) throw error;
    if (reason === 'NotFound') return undefined;
    // No object is missing, but the whole resource: nobody may take that for a deletion.
    throw new TidemillError('KUBE_REFUSED', `the API server knows no ScheduledTask objects: ${CRD_HINT}`, {
      cause: error,
    });
  }
}
