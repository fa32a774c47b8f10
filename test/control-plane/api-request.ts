/** What a request to the API server is about, read from its method and path as the server itself does. */

export interface ApiRequest {
  /** As in RBAC: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. */
  readonly verb: string;
  /** `scheduledtasks`, `leases`, …; undefined for `/version`, `/readyz` and discovery. */
  readonly resource: string | undefined;
  readonly subresource: string | undefined;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly path: string;
}

const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch' };

/** @param target path and query, as in the request line */
export function describeRequest(method: string, target: string): ApiRequest {
  const url = new URL(target, 'https://api');
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const group = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : parts.length;
  const inGroup = parts.slice(group);
  // `/api/v1/namespaces/x` alone is the namespace itself.
  const inNamespace = inGroup[0] === 'namespaces' && inGroup.length > 2;
  const [resource, name, subresource] = inNamespace ? inGroup.slice(2) : inGroup;
  const watching = ['true', '1'].includes(url.searchParams.get('watch') ?? '');
  return {
    verb: verbOf(method, watching, name !== undefined),
    resource,
    subresource,
    namespace: inNamespace ? inGroup[1] : undefined,
    name,
    path: target,
  };
}

function verbOf(method: string, watching: boolean, named: boolean): string {
  if (method === 'DELETE') return named ? 'delete' : 'deletecollection';
  if (method !== 'GET') return VERBS[method] ?? method.toLowerCase();
  if (watching) return 'watch';
  return named ? 'get' : 'list';
}
