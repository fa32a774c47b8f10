/**
 * Strict JSON schemas for kubeconform from what an API server publishes itself: its default place for them is a web site, which
 * a test cannot count on, and which knows nothing of CRDs.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const Paths = z.object({ paths: z.record(z.string(), z.unknown()) });
const Kinds = z
  .array(z.object({ group: z.string(), version: z.string(), kind: z.string() }))
  .optional()
  .catch(undefined);
const Document = z.object({
  components: z.object({ schemas: z.record(z.string(), z.record(z.string(), z.unknown())) }).optional(),
});
const KINDS = 'x-kubernetes-group-version-kind';
/** Below the folder: kubeconform fills in the names, in lower case. */
const TEMPLATE = '{{.ResourceKind}}_{{.Group}}_{{.ResourceAPIVersion}}.json';

/** @param get - reads a path of the API server @returns what kubeconform takes as `-schema-location` */
export async function openapiSchemas(get: (path: string) => Promise<string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-schemas-'));
  const { paths } = Paths.parse(JSON.parse(await get('/openapi/v3')));
  for (const path of Object.keys(paths)) {
    if (!/^(api|apis\/[^/]+)\/[^/]+$/.test(path)) continue;
    const { components } = Document.parse(JSON.parse(await get(`/openapi/v3/${path}`)));
    await writeKinds(folder, components?.schemas ?? {});
  }
  return join(folder, TEMPLATE);
}

async function writeKinds(
  folder: string,
  published: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<void> {
  const schemas = Object.fromEntries(
    Object.entries(published).map(([name, schema]) => [name, strict(schema)]),
  );
  for (const [name, schema] of Object.entries(published)) {
    const kinds = Kinds.parse(schema[KINDS]) ?? [];
    for (const { group, version, kind } of kinds.length === 1 ? kinds : []) {
      const root = { $ref: `#/components/schemas/${name}`, components: { schemas } };
      // kubeconform takes the version of the core group, which has no name, for its group.
      const file = `${kind.toLowerCase()}_${group === '' ? version : group}_${version}.json`;
      await writeFile(join(folder, file), JSON.stringify(root));
    }
  }
}

/** Closes every object whose fields are listed, as `kubectl apply` does. */
function strict(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(strict);
  if (typeof node !== 'object' || node === null) return node;
  const rest: Readonly<Record<string, unknown>> = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, strict(value)]),
  );
  const isOpen =
    !('properties' in rest) ||
    'additionalProperties' in rest ||
    rest['x-kubernetes-preserve-unknown-fields'] === true;
  return isOpen ? rest : { ...rest, additionalProperties: false };
}
