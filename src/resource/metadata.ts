/** `metadata` of an object: what the API server takes, as far as we read it. */
import { z } from 'zod';
import { QUEUE_NAME_PATTERN } from '../task/names.ts';

export const DEFAULT_NAMESPACE = 'default';

/** As for CronJob: leaves room for what is made from the name. */
export const OBJECT_NAME_MAX_LENGTH = 52;
const OBJECT_NAME_PATTERN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const NAMESPACE_MAX_LENGTH = 63;

/** Values must be text: `"true"`, not `true`. */
const texts = z.record(z.string(), z.string('must be a text: put it in quotes')).optional();

/** Fields of the API server are taken as they are, so that the output of `kubectl get -o yaml` is a valid file. */
export const ObjectMetadataSchema = z.object({
  name: z
    .string()
    .max(OBJECT_NAME_MAX_LENGTH, `must have at most ${OBJECT_NAME_MAX_LENGTH} characters`)
    .regex(
      OBJECT_NAME_PATTERN,
      'must be lower-case letters, digits, - or ., and begin and end with a letter or digit',
    ),
  namespace: z
    .string()
    .max(NAMESPACE_MAX_LENGTH, `must have at most ${NAMESPACE_MAX_LENGTH} characters`)
    .regex(QUEUE_NAME_PATTERN, 'must be a DNS label: lower-case letters, digits and -')
    .optional(),
  labels: texts,
  annotations: texts,
  uid: z.string().optional(),
  generation: z.int().optional(),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.string().nullish(),
  deletionTimestamp: z.string().nullish(),
  deletionGracePeriodSeconds: z.unknown().optional(),
  finalizers: z.unknown().optional(),
  generateName: z.unknown().optional(),
  managedFields: z.unknown().optional(),
  ownerReferences: z.unknown().optional(),
  selfLink: z.unknown().optional(),
});
export type ObjectMetadata = z.output<typeof ObjectMetadataSchema>;
