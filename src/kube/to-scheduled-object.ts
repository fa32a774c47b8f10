/** From what the API server sends to the snapshot that the engine works with: small, and never without a reason. */
import { z } from 'zod';
import {
  keyOf,
  type ObjectKey,
  type ScheduledObject,
  type UnreadableSpec,
} from '../resource/scheduled-object.ts';
import {
  GROUP,
  parseScheduledTask,
  type ScheduledTaskSpec,
  type ScheduledTaskStatus,
} from '../resource/scheduled-task.ts';
import { SpecFieldsSchema } from '../resource/spec-schema.ts';
import { ScheduledTaskStatusSchema } from '../resource/status-schema.ts';
import { queueOf } from '../resource/to-schedule.ts';

/** Without these it is nobody's object. */
const IdentitySchema = z.object({
  metadata: z.object({
    namespace: z.string().min(1),
    name: z.string().min(1),
    uid: z.string().min(1),
    generation: z.int().nonnegative(),
    resourceVersion: z.string().min(1),
    deletionTimestamp: z.string().nullish(),
    annotations: z.record(z.string(), z.string()).nullish().catch(undefined),
  }),
});
const NamesSchema = z.object({
  metadata: z.object({ namespace: z.string().min(1), name: z.string().min(1) }),
});
const PartsSchema = z.object({ spec: z.unknown().optional(), status: z.unknown().optional() });
const QueueSchema = SpecFieldsSchema.pick({ queue: true });

const OUR_ANNOTATIONS = `${GROUP}/`;
/** Problems of an unreadable spec go into a condition and a log line. */
const PROBLEMS_LENGTH = 1_024;

export type ReadObject =
  | { readonly kind: 'object'; readonly object: ScheduledObject }
  | {
      readonly kind: 'problem';
      /** Whose snapshot stays as it is; absent when not even that can be told. */
      readonly key?: ObjectKey;
      readonly message: string;
    };

/**
 * A spec that does not fit the schema is no problem here: the object carries why, and its conditions tell it.
 *
 * @param known - finds the snapshot that is here already: the same version of the same object is not read again. Of 10,000
 *   objects in a full list hardly one has changed, and to read them all would cost half a second and 60 MB of garbage
 */
export function toScheduledObject(
  raw: unknown,
  known?: (key: ObjectKey) => ScheduledObject | undefined,
): ReadObject {
  const identity = IdentitySchema.safeParse(raw);
  if (!identity.success) {
    const names = NamesSchema.safeParse(raw).data?.metadata;
    return {
      kind: 'problem',
      message: z.prettifyError(identity.error),
      ...(names !== undefined && { key: keyOf(names) }),
    };
  }
  const { namespace, name, uid, generation, resourceVersion, annotations, deletionTimestamp } =
    identity.data.metadata;
  const key = keyOf({ namespace, name });
  const same = known?.(key);
  if (same?.uid === uid && same.resourceVersion === resourceVersion) return { kind: 'object', object: same };
  const ours = ourAnnotations(annotations ?? {});
  const deletedAt = deletionTimestamp ? Date.parse(deletionTimestamp) : Number.NaN;
  const { spec, status } = readParts(raw);
  return {
    kind: 'object',
    object: {
      key,
      uid,
      generation,
      namespace,
      name,
      spec,
      resourceVersion,
      ...(ours !== undefined && { annotations: ours }),
      ...(!Number.isNaN(deletedAt) && { deletedAt }),
      ...(status !== undefined && { status }),
    },
  };
}

function readParts(raw: unknown): {
  readonly spec: ScheduledTaskSpec | UnreadableSpec;
  readonly status: ScheduledTaskStatus | undefined;
} {
  const parsed = parseScheduledTask(raw, 'ignore');
  if (parsed.kind === 'object') return { spec: parsed.object.spec, status: parsed.object.status };
  const { spec, status } = PartsSchema.parse(raw);
  const unreadable = parsed.problems.map(({ message }) => message).join('; ');
  return {
    // The queue matters even then: what was in force there has to be withdrawn from it.
    spec: {
      unreadable: unreadable.slice(0, PROBLEMS_LENGTH),
      queue: queueOf(QueueSchema.safeParse(spec).data ?? {}),
    },
    status: ScheduledTaskStatusSchema.safeParse(status).data,
  };
}

/** Those of others (the copy that kubectl keeps of the whole object) would double what an object takes of memory. */
function ourAnnotations(
  annotations: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> | undefined {
  const ours = Object.entries(annotations).filter(([name]) => name.startsWith(OUR_ANNOTATIONS));
  return ours.length === 0 ? undefined : Object.fromEntries(ours);
}
