/** What a missing object is, and what a missing CRD is. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connectKube } from '../../../src/kube/connect.ts';
import { ScheduledTasksApi } from '../../../src/kube/scheduled-tasks.ts';
import { systemClock } from '../../../src/runtime/clock.ts';

const OBJECT = { namespace: 'harbour', name: 'tide' };

/** The API of a server that answers everything with 404 and this body. */
async function apiThatAnswers(t: TestContext, body: string): Promise<ScheduledTasksApi> {
  const server = createServer((_request, response) => response.writeHead(404).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-kubeconfig-'));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const kubeconfig = join(folder, 'config');
  await writeFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${address.port}` } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'c',
    }),
  );
  const connection = connectKube({ kubeconfig, clock: systemClock });
  t.after(async () => {
    await connection[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  });
  return new ScheduledTasksApi(connection);
}

test('an object that is not there is undefined', async (t) => {
  const api = await apiThatAnswers(
    t,
    JSON.stringify({
      kind: 'Status',
      code: 404,
      reason: 'NotFound',
      message: 'scheduledtasks "tide" not found',
    }),
  );
  assert.equal(await api.read(OBJECT), undefined);
  assert.equal(await api.patch(OBJECT, {}), undefined);
});

test('a server without the CRD is told of as such, and is no missing object', async (t) => {
  const api = await apiThatAnswers(t, '404 page not found\n');
  const error = { code: 'KUBE_REFUSED', message: /the CRD is not installed: `tidemill crd \| kubectl apply/ };
  await assert.rejects(api.read(OBJECT), error);
  await assert.rejects(api.patch(OBJECT, {}), error);
});
