/** Leases on a real API server: one candidate of several leads, whatever happens to the others and to itself. */
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { connectKube } from '../../../src/kube/connect.ts';
import { LeaseApi } from '../../../src/kube/lease-api.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { kubeconfigThrough } from '../../control-plane/api-proxy.ts';
import {
  type ControlPlane,
  type ServiceAccountAccess,
  startControlPlane,
} from '../../control-plane/control-plane.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { until } from '../../support/until.ts';
import { controllerAccount } from './watched.ts';

const LEASE = 'tidemill-controller';
/** A fifth of what is in force, so that the tests do not take five times as long. */
const TIMES = { leaseMs: 3_000, retryMs: 400, renewDeadlineMs: 2_000 };
/** A lease and two of the longest waits between tries, and what a busy machine adds. */
const FOLLOWED_MS = TIMES.leaseMs + 2 * 2.2 * TIMES.retryMs + 3_000;

let plane: ControlPlane;
let namespace: string;
let account: ServiceAccountAccess;
let open: AsyncDisposableStack;
before(async () => {
  plane = await startControlPlane();
});
after(async () => {
  await plane[Symbol.asyncDispose]();
});
beforeEach(async () => {
  namespace = await plane.namespace();
  account = await controllerAccount(plane, namespace);
  open = new AsyncDisposableStack();
});
afterEach(async () => {
  await open.disposeAsync();
});

/** A candidate in a process of its own, which can be killed, frozen and cut off. */
class Candidate implements AsyncDisposable {
  readonly identity: string;
  leading = false;
  readonly #child: ChildProcess;

  constructor(identity: string, kubeconfig: string, clockOffsetMs = 0) {
    this.identity = identity;
    const options = { kubeconfig, namespace, name: LEASE, identity, clockOffsetMs, ...TIMES };
    this.#child = fork(join(import.meta.dirname, 'candidate.ts'), [JSON.stringify(options)]);
    this.#child.on('message', (leading) => (this.leading = leading === true));
    this.#child.on('exit', () => (this.leading = false));
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await until(
      'the candidate is gone',
      () => this.#child.exitCode !== null || this.#child.signalCode !== null,
    );
  }
}

function candidate(identity: string, kubeconfig = account.kubeconfig, clockOffsetMs = 0): Candidate {
  return open.use(new Candidate(identity, kubeconfig, clockOffsetMs));
}

async function leader(candidates: readonly Candidate[], deadlineMs = FOLLOWED_MS): Promise<Candidate> {
  return await until('somebody leads', () => candidates.find(({ leading }) => leading), { deadlineMs });
}

const others = (candidates: readonly Candidate[], one: Candidate): readonly Candidate[] =>
  candidates.filter((other) => other !== one);

async function field(path: string): Promise<string> {
  return await plane.mustKubectl(['get', 'lease', LEASE, '-n', namespace, '-o', `jsonpath={.spec.${path}}`]);
}

describe('three candidates', () => {
  test('one leads; killed, it is followed when its lease is over, and the Lease counts the transition', async (t) => {
    const all = ['a', 'b', 'c'].map((identity) => candidate(identity));
    const first = await leader(all, 30_000);
    assert.equal(await field('holderIdentity'), first.identity);
    assert.match(await field('renewTime'), /^\d{4}-.*\.\d{6}Z$/);
    assert.match(await field('acquireTime'), /\.\d{6}Z$/);
    assert.equal(await field('leaseDurationSeconds'), '3');
    first.signal('SIGKILL');
    const beganMs = performance.now();
    const second = await leader(others(all, first));
    t.diagnostic(`followed after ${Math.round(performance.now() - beganMs)} ms`);
    assert.equal(all.filter(({ leading }) => leading).length, 1);
    assert.equal(await field('holderIdentity'), second.identity);
    assert.equal(await field('leaseTransitions'), '1');
  });

  test('one that is told to stop gives the Lease back, exits 0, and is followed at once', async (t) => {
    const first = candidate('a');
    await leader([first], 30_000);
    first.signal('SIGTERM');
    await until('it is gone', () => first.exitCode !== null);
    assert.equal(first.exitCode, 0);
    assert.equal(await field('holderIdentity'), '');
    assert.equal(await field('leaseDurationSeconds'), '1');
    const startedMs = performance.now();
    await leader([candidate('b'), candidate('c')], 30_000);
    t.diagnostic(`followed ${Math.round(performance.now() - startedMs)} ms after the start of the next`);
    assert.equal(await field('leaseTransitions'), '1');
  });

  test('one that is frozen past its lease and thawed sees that another one leads, and ends', async () => {
    const all = ['a', 'b', 'c'].map((identity) => candidate(identity));
    const first = await leader(all, 30_000);
    first.signal('SIGSTOP');
    const second = await leader(others(all, first));
    first.signal('SIGCONT');
    await until('the first one ends', () => !first.leading);
    assert.equal(second.leading, true);
    assert.equal(await field('holderIdentity'), second.identity);
  });

  test('one that is cut off goes on until it sees who leads now', async () => {
    await using proxy = await FaultProxy.start(plane.port);
    const first = candidate('a', await kubeconfigThrough(plane, proxy, account));
    await leader([first], 30_000);
    const rest = [candidate('b'), candidate('c')];
    proxy.mode = 'refuse';
    proxy.cut();
    const second = await leader(rest, 30_000);
    assert.equal(first.leading, true);
    proxy.mode = 'pass';
    await until('the first one ends', () => !first.leading);
    assert.equal(second.leading, true);
  });
});

describe('one candidate', () => {
  test('with a clock that is a day wrong takes nothing from a holder that renews', async () => {
    for (const offsetMs of [-86_400_000, 86_400_000]) {
      const honest = candidate('honest');
      await leader([honest], 30_000);
      const wrong = candidate('wrong', account.kubeconfig, offsetMs);
      const version = await field('renewTime');
      await until('many renewals have passed', async () => {
        assert.equal(wrong.leading, false);
        return Date.parse(await field('renewTime')) - Date.parse(version) > 2 * TIMES.leaseMs;
      });
      // And the other way round: the one with the wrong clock holds it as well as any.
      honest.signal('SIGTERM');
      await leader([wrong]);
      await wrong[Symbol.asyncDispose]();
      await plane.mustKubectl(['delete', 'lease', LEASE, '-n', namespace]);
    }
  });

  test('leads on through an outage of the API server', async () => {
    const only = candidate('a');
    await leader([only], 30_000);
    await plane.apiServer.kill();
    const downMs = performance.now();
    await until('the lease would be over', () => performance.now() - downMs > TIMES.leaseMs + 1_000);
    assert.equal(only.leading, true);
    await plane.apiServer.start();
    const before = await field('renewTime');
    await until('it renews again', async () => (await field('renewTime')) > before);
    assert.equal(only.leading, true);
    assert.equal(await field('leaseTransitions'), '0');
  });

  test('leaves what others wrote into the Lease as it was', async () => {
    const only = candidate('a');
    await leader([only], 30_000);
    await plane.mustKubectl(['label', 'lease', LEASE, '-n', namespace, 'team=ours']);
    const acquired = await field('acquireTime');
    const before = await field('renewTime');
    await until('it renews', async () => (await field('renewTime')) > before);
    assert.match(
      await plane.mustKubectl(['get', 'lease', LEASE, '-n', namespace, '--show-labels']),
      /team=ours/,
    );
    assert.equal(await field('acquireTime'), acquired);
    assert.equal(await field('leaseTransitions'), '0');
  });
});

describe('a Lease', () => {
  test('is written over exactly the version that was read', async () => {
    await using connection = connectKube({ kubeconfig: account.kubeconfig, clock: systemClock });
    const api = new LeaseApi(connection, { namespace, name: LEASE });
    assert.equal(await api.read(), undefined);
    const record = { holder: 'a', leaseMs: 15_000, transitions: 0, renewedAtMs: 1e12, acquiredAtMs: 1e12 };
    const made = await api.write(record, undefined);
    assert.ok(made !== 'conflict');
    assert.equal(await api.write(record, undefined), 'conflict');
    assert.ok((await api.write({ ...record, holder: 'b' }, made)) !== 'conflict');
    assert.equal(await api.write({ ...record, holder: 'c' }, made), 'conflict');
    assert.equal((await api.read())?.holder, 'b');
  });

  test('that the account may not touch is told as forbidden', async () => {
    await using connection = connectKube({ kubeconfig: account.kubeconfig, clock: systemClock });
    const api = new LeaseApi(connection, { namespace, name: 'another' });
    await assert.rejects(api.read(), { code: 'KUBE_FORBIDDEN', message: /leases.*another/s });
  });
});
