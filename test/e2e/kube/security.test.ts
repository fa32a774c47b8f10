/** A controller on a real API server under the Redis user that `tidemill redis-acl` prints for it, and what it tells of the secrets that it was given. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { rbacObjects } from '../../../src/kube/rbac.ts';
import { tidemill } from '../../support/fake-io.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet, LEASE } from './controllers.ts';

const TICK = { task: 'work', params: { ms: 1 }, every: '1s', concurrencyPolicy: 'Allow' };
const PASSWORD = 'of-the-test';
const MARKER = 'marker-4c81f0';
const USER = 'tidemill-controller';
const Users = z.array(z.object({ user: z.string(), rules: z.array(z.string()) }));

describe('a controller under its own Redis user', () => {
  let fleet: ControllerFleet;
  before(async () => {
    fleet = await ControllerFleet.start();
    const { json } = await tidemill(['redis-acl', '--json']);
    for (const { user, rules } of Users.parse(json()))
      await fleet.redis.command('ACL', 'SETUSER', user, ...rules, `>${PASSWORD}`);
    await fleet.consumer();
  });
  after(() => fleet[Symbol.asyncDispose]());

  const start = async (): Promise<Controller> => {
    const controller = await fleet.controller(['--redis-username', USER, '--redis-password', PASSWORD]);
    await fleet.leads(controller);
    return controller;
  };

  test(
    'fires, writes status, follows edits, sweeps what was deleted meanwhile, and Redis refuses it nothing',
    { timeout: 240_000 },
    async () => {
      await fleet.redis.command('ACL', 'LOG', 'RESET');
      const first = await start();
      await fleet.apply({ kept: TICK, edited: TICK, gone: TICK });
      const uids = await fleet.uids();
      const all = [...uids.values()];
      await fleet.adopted(all, 1);
      await fleet.settled(all, (await fleet.broker.now()) + 2_000);
      await fleet.kubectl('wait', '--for=condition=Ready', 'st', '--all', '--timeout=60s');
      await until(
        'the status names a slot that fired',
        async () => (await fleet.object('kept')).status?.lastScheduleTime !== undefined,
        { deadlineMs: 60_000 },
      );

      await fleet.apply({ edited: { ...TICK, every: '2s' } });
      await fleet.adopted([uids.get('edited') ?? ''], 2);
      await fleet.kubectl('annotate', 'st', 'kept', 'tidemill.dev/run-now=by-hand');
      await first.process.line(/by-hand/);
      let collectors: readonly string[] = [];
      await until(
        'all that the leader collects of Redis is there',
        async () => {
          const metrics = await (await fetch(`${first.http}/metrics`)).text();
          collectors = metrics.split('\n').filter((line) => line.startsWith('tidemill_collector_up{'));
          return collectors.length > 0 && collectors.every((line) => line.endsWith(' 1'));
        },
        { deadlineMs: 60_000, describe: () => collectors.join('\n') },
      );
      assert.equal((await fetch(`${first.http}/scale/default`)).status, 200);

      await fleet.stop(first);
      await fleet.kubectl('delete', 'st', 'gone');
      const second = await start();
      await until(
        'what was deleted meanwhile is withdrawn',
        async () => {
          const [state] = await fleet.queue.schedules.states([uids.get('gone') ?? '']);
          return state?.withdrawn === true;
        },
        { deadlineMs: 120_000, describe: () => second.process.lines.slice(-10).join('\n') },
      );
      const kept = [uids.get('kept') ?? ''];
      await fleet.settled(kept, (await fleet.broker.now()) + 2_000);
      for (const line of [...first.process.lines, ...second.process.lines])
        assert.doesNotMatch(line, /NOPERM|lacks a right/);
      assert.equal((await fleet.redis.command('ACL', 'LOG')).trim(), '*0');
      assert.match(await fleet.redis.command('CLIENT', 'LIST'), new RegExp(`user=${USER} `));
    },
  );
});

describe('what a controller tells', () => {
  let fleet: ControllerFleet;
  let admin: Redis;
  let controller: TidemillProcess;
  let http: string;
  let token: string;

  before(async () => {
    fleet = await ControllerFleet.start();
    await fleet.redis.command('CONFIG', 'SET', 'requirepass', MARKER);
    admin = new Redis(fleet.redis.port, '127.0.0.1', { password: MARKER, retryStrategy: null });
    admin.on('error', () => undefined);
    const { namespace, plane } = fleet;
    const objects = rbacObjects({ namespace, serviceAccount: LEASE, leaseName: LEASE, watchNamespaces: [] });
    const account = await plane.serviceAccount(namespace, LEASE, objects);
    token = account.token;
    controller = new TidemillProcess(
      [
        ...['controller', '--kubeconfig', account.kubeconfig, '--lease-name', LEASE],
        ...['--http-host', '127.0.0.1', '--http-port', '0', '--log-level', 'debug'],
      ],
      { TIDEMILL_REDIS_URL: `redis://:${MARKER}@127.0.0.1:${fleet.redis.port}` },
    );
    http = /"http":"(http:[^"]+)"/.exec(await controller.line(/controller started/, 60_000))?.[1] ?? '';
    await controller.line(/leads now/, 60_000);
  });
  after(async () => {
    admin.disconnect();
    await controller[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
  });

  /** By where it is told. */
  async function told(): Promise<Readonly<Record<string, string>>> {
    const served = ['/metrics', '/readyz', '/healthz', '/scale/default'].map(
      async (path): Promise<[string, string]> => [path, await (await fetch(`${http}${path}`)).text()],
    );
    const everywhere = ['-A', '-o', 'json', '--show-managed-fields'];
    const objects = ['st', 'events', 'events.events.k8s.io', 'leases'].map(
      async (kind): Promise<[string, string]> => [kind, await fleet.kubectl('get', kind, ...everywhere)],
    );
    return {
      ...Object.fromEntries(await Promise.all([...served, ...objects])),
      log: controller.lines.join('\n'),
      cmdline: readFileSync(`/proc/${controller.pid}/cmdline`, 'utf8'),
    };
  }

  async function assertSecret(): Promise<Readonly<Record<string, string>>> {
    const texts = await told();
    for (const [where, text] of Object.entries(texts)) {
      assert.ok(text.length > 0, `${where} says nothing`);
      for (const secret of [MARKER, token, token.split('.').at(-1) ?? token])
        assert.ok(!text.includes(secret), `${where} holds a secret`);
    }
    return texts;
  }

  test('holds neither the password of Redis nor its token while all goes well, params included', async () => {
    const params = { note: 'params-are-no-secret' };
    await fleet.apply({
      fires: { ...TICK, params },
      broken: { task: 'work', schedule: '0 3 * * *', timeZone: 'Foo/Bar' },
    });
    await controller.line(/"msg":"slot fired"/, 60_000);
    await until('status and events are there', async () => {
      const { st = '', events = '' } = await told();
      return st.includes('lastScheduleTime') && events.includes('"reason"') && st.includes('Foo/Bar');
    });
    const { st = '' } = await assertSecret();
    assert.ok(st.includes(params.note));
  });

  test(
    'holds neither when Redis takes the password no more, which is told everywhere',
    { timeout: 120_000 },
    async () => {
      await admin.config('SET', 'requirepass', 'another-one');
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until('its probe says so', async () => (await fetch(`${http}/readyz`)).status === 503, {
        deadlineMs: 60_000,
      });
      await controller.line(/WRONGPASS|password/i, 60_000);
      await assertSecret();
    },
  );

  test('holds neither when it is started with a password that is wrong', { timeout: 120_000 }, async () => {
    await controller[Symbol.asyncDispose]();
    const account = await fleet.plane.serviceAccount(fleet.namespace, 'late', []);
    controller = new TidemillProcess(
      ['controller', '--kubeconfig', account.kubeconfig, '--http-host', '127.0.0.1', '--http-port', '0'],
      { TIDEMILL_REDIS_URL: `redis://:${MARKER}@127.0.0.1:${fleet.redis.port}` },
    );
    await controller.line(/WRONGPASS|password/i, 60_000);
    for (const line of controller.lines)
      assert.ok(!line.includes(MARKER) && !line.includes(account.token), line);
  });
});
