/**
 * Generations for objects that come from files, where no API server counts them.
 *
 * A generation is `edits * 2^30 + hash of the spec`. It rises with every edit, across restarts and replicas, because the
 * next one is counted from what the broker knows; and it names its content, so that
 * - a restart, or another replica with the same files, finds the generation it would make itself, and nothing begins anew;
 * - two replicas that raise it at the same moment to different contents make different numbers: the broker keeps the
 *   higher, and the other is told that it is stale. Were it a plain count, both would take the same number for their own.
 *
 * Two contents share a hash once in a thousand million edits; within one process that is noticed, too. There is room for
 * eight million edits of one object.
 */
import { createHash } from 'node:crypto';
import { type ScheduledTaskSpec, ScheduledTaskSpecSchema } from '../resource/spec-schema.ts';

const HASH_BITS = 30;
const HASHES = 2 ** HASH_BITS;

/** Names an object for the broker: the same in every process that serves the same install. */
export function fileUid(install: string, namespace: string, name: string): string {
  return createHash('sha256')
    .update(JSON.stringify([install, namespace, name]))
    .digest('hex')
    .slice(0, 32);
}

/** Every field that has a default, with it. */
const DEFAULTS: Readonly<Record<string, unknown>> = (({ task: _task, every: _every, ...defaults }) =>
  defaults)(ScheduledTaskSpecSchema.parse({ task: 'any', every: '1m' }));

/**
 * What a spec says, as text that depends neither on the order of its keys nor on defaults: a version that knows more
 * fields must not take every object for edited.
 */
export function specText(spec: ScheduledTaskSpec): string {
  const stated = Object.entries(spec).filter(
    ([field, value]) => canonicalText(value) !== canonicalText(DEFAULTS[field]),
  );
  return canonicalText(Object.fromEntries(stated)) ?? '';
}

function canonicalText(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

export interface KnownGeneration {
  readonly generation: number;
  readonly withdrawn: boolean;
}

/**
 * The generation of a content.
 * @param known - the newest generation that anyone has acted on
 * @param differs - the content is known to be another one than that of `known`, whatever the hashes say
 */
export function generationOf(text: string, known: KnownGeneration | undefined, differs: boolean): number {
  const hash = hashOf(text);
  if (known === undefined) return HASHES + hash;
  if (!known.withdrawn && !differs && known.generation % HASHES === hash) return known.generation;
  return (editsOf(known.generation) + 1) * HASHES + hash;
}

/** How many edits a generation counts; 0 for one that an API server has counted. */
export function editsOf(generation: number): number {
  return Math.floor(generation / HASHES);
}

function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) % HASHES;
}
