/** What tests ask of rendered objects. */
import assert from 'node:assert/strict';
import { z } from 'zod';
import type { KubeObject } from './helm.ts';

export const only = (objects: readonly KubeObject[], kind: string, name?: string): KubeObject => {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  assert.equal(found.length, 1, `${kind} ${name ?? ''}`);
  return found[0] ?? assert.fail();
};

const Container = z.looseObject({
  name: z.string(),
  args: z.array(z.string()).default([]),
  env: z
    .array(
      z.strictObject({ name: z.string(), value: z.string().optional(), valueFrom: z.object({}).optional() }),
    )
    .default([]),
});
export const PodSpec = z.looseObject({
  containers: z.array(Container),
  terminationGracePeriodSeconds: z.number().optional(),
  serviceAccountName: z.string().optional(),
  automountServiceAccountToken: z.boolean(),
});
export const Deployment = z.looseObject({
  spec: z.looseObject({
    replicas: z.number().optional(),
    template: z.looseObject({ spec: PodSpec }),
  }),
});
export const podOf = (object: KubeObject) => Deployment.parse(object).spec.template.spec;
export const variables = (pod: z.output<typeof PodSpec>): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries((pod.containers[0]?.env ?? []).map(({ name, value }) => [name, value ?? 'of-a-secret']));
