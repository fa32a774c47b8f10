/** Which API server, as whom. */
import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectKube } from '../../../src/kube/connect.ts';
import { loadConfig } from '../../../src/kube/load-config.ts';
import { systemClock } from '../../../src/runtime/clock.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-kubeconfig-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

async function write(name: string, context: string, server: string, namespace?: string): Promise<string> {
  const path = join(folder, name);
  const config = {
    clusters: [{ name: context, cluster: { server } }],
    users: [{ name: context, user: { token: 't' } }],
    contexts: [
      { name: context, context: { cluster: context, user: context, ...(namespace && { namespace }) } },
    ],
    'current-context': context,
  };
  await writeFile(path, JSON.stringify(config));
  return path;
}

test('server and namespace are those of the context, several files are one', async () => {
  const first = await write('first', 'one', 'https://one.test:6443/', 'team-a');
  const second = await write('second', 'two', 'https://two.test/prefix');
  const kubeconfig = [first, second].join(delimiter);
  await using connection = connectKube({ kubeconfig, clock: systemClock });
  assert.equal(connection.server, 'https://one.test:6443');
  assert.equal(connection.namespace, 'team-a');
  await using other = connectKube({ kubeconfig, context: 'two', clock: systemClock });
  assert.equal(other.server, 'https://two.test/prefix');
  assert.equal(other.namespace, 'default');
});

test('plain HTTP, as kubectl proxy serves it, needs no word about TLS', async () => {
  const kubeconfig = await write('plain', 'plain', 'http://127.0.0.1:8001');
  assert.equal(loadConfig({ kubeconfig }).getCurrentCluster()?.skipTLSVerify, true);
});

test('what is missing is named', async () => {
  const kubeconfig = await write('lone', 'lone', 'https://one.test');
  const config = { code: 'CONFIG_INVALID' };
  assert.throws(() => loadConfig({ kubeconfig: join(folder, 'none') }), {
    ...config,
    message: /none.*ENOENT/s,
  });
  assert.throws(() => loadConfig({ kubeconfig, context: 'x' }), {
    ...config,
    message: /"x".*there are lone/,
  });
  await writeFile(join(folder, 'junk'), 'a: [');
  assert.throws(() => loadConfig({ kubeconfig: join(folder, 'junk') }), { ...config, message: /junk/ });
  await writeFile(join(folder, 'empty'), '');
  assert.throws(() => loadConfig({ kubeconfig: join(folder, 'empty') }), config);
  await writeFile(join(folder, 'other'), 'some: text');
  assert.throws(() => loadConfig({ kubeconfig: join(folder, 'other') }), {
    ...config,
    message: /no current context.*none at all/,
  });
  assert.throws(() => loadConfig({ mountPrefix: folder }), { ...config, message: /no pod/ });
  const nowhere = await write('nowhere', 'nowhere', 'not a url');
  assert.throws(() => connectKube({ kubeconfig: nowhere, clock: systemClock }), {
    ...config,
    message: /not a url/,
  });
});

test('in a pod, the service account is used and its namespace is ours', async () => {
  const mount = join(folder, 'var/run/secrets/kubernetes.io/serviceaccount');
  await mkdir(mount, { recursive: true });
  await writeFile(join(mount, 'token'), 'secret');
  await writeFile(join(mount, 'namespace'), 'tidemill\n');
  await writeFile(join(mount, 'ca.crt'), '');
  process.env['KUBERNETES_SERVICE_HOST'] = 'fd00::1';
  process.env['KUBERNETES_SERVICE_PORT'] = '443';
  try {
    await using connection = connectKube({ mountPrefix: folder, clock: systemClock });
    assert.equal(connection.server, 'https://[fd00::1]:443');
    assert.equal(connection.namespace, 'tidemill');
  } finally {
    delete process.env['KUBERNETES_SERVICE_HOST'];
    delete process.env['KUBERNETES_SERVICE_PORT'];
  }
});
