/** Schedulers as real processes on one Redis, whose leader is killed and frozen: each slot is decided once, by the spec of whoever leads. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Broker } from '../../src/broker/broker.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { fileUid } from '../../src/controller/file-generation.ts';
import type { Era } from '../../src/task/schedule-state.ts';
import { RedisServer } from '../support/redis-server.ts';
import { slotAccount, slotsOf } from '../support/slot-account.ts';
import { TidemillProcess } from '../support/tidemill-process.ts';
import { until } from '../support/until.ts';

const NAMESPACE = 'proofs';
const QUEUE = 'default';
/** A dead leader is followed within this. */
const TAKEOVER_MS = 18_000;
/** A leader renews its lock every 3 s. One that is killed when it was about to leaves the others that much of their time. */
const LEASE_LEFT_AT_KILL_MS = 13_500;
/** What falls due while an edit is on its way from the engine to Redis belongs to neither spec. */
const EDIT_MS = 250;

/** Without a namespace of its own: the flag gives it. */
const manifest = (name: string, interval: string): string =>
  `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata: { name: ${name} }\n` +
  `spec: { task: tick, every: ${interval}, concurrencyPolicy: Allow, missedRunPolicy: All }\n`;

describe('schedulers that share a Redis', { concurrency: true }, () => {
  let redis: RedisServer;
  let broker: Broker;
  let folder: string;

  before(async () => {
    redis = await RedisServer.start();
    broker = await connectRedis({ url: redis.url });
    folder = mkdtempSync(join(tmpdir(), 'tidemill-schedulers-'));
  });
  after(async () => {
    await broker[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const files = (name: string, ...manifests: readonly string[]): string => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'schedules.yaml'), manifests.join('---\n'));
    return join(folder, name);
  };
  /** One that is ready: it serves its probes and says that all is well. */
  const scheduler = async (install: string, path: string): Promise<TidemillProcess> => {
    const process = new TidemillProcess([
      ...['scheduler', path, '--redis', redis.url, '--install', install, '--namespace', NAMESPACE],
      ...['--http-host', '127.0.0.1', '--http-port', '0'],
    ]);
    const [, url] = /"http":"(http:[^"]+)"/.exec(await process.line(/scheduler started/)) ?? [];
    const ready = await fetch(`${String(url)}/readyz`);
    assert.equal(ready.status, 200, await ready.text());
    return process;
  };
  const leads = (process: TidemillProcess, deadlineMs?: number): Promise<string> =>
    process.line(/this scheduler leads now/, deadlineMs);
  const uidOf = (install: string, name: string): string => fileUid(install, NAMESPACE, name);
  const lockOf = (install: string): string => `tidemill:lock:scheduler:${install}`;
  const settled = (uids: readonly string[], throughMs: number, deadlineMs = 30_000): Promise<true> =>
    until(
      `all slots are decided through ${new Date(throughMs).toISOString()}`,
      async () => {
        const states = await broker.queue(QUEUE).schedules.states(uids);
        return states.every((state) => (state?.watermarkMs ?? 0) >= throughMs) || undefined;
      },
      { deadlineMs },
    );
  const kill = async (leader: TidemillProcess, install: string): Promise<number> => {
    await until('the lease is in the middle of its term', async () => {
      const [, leftMs] = /^:(\d+)/.exec(await redis.command('PTTL', lockOf(install))) ?? [];
      return Number(leftMs ?? Infinity) <= LEASE_LEFT_AT_KILL_MS || undefined;
    });
    leader.signal('SIGKILL');
    await leader.exited;
    return performance.now();
  };

  test('one that was started with edited files waits, and its spec is in force within 18 s of the leader’s death', async (t) => {
    const install = 'edited';
    const uid = uidOf(install, 'job');
    await using leader = await scheduler(install, files('before', manifest('job', '500ms')));
    await leads(leader);
    await until('the schedule is adopted', async () => {
      const [state] = await broker.queue(QUEUE).schedules.states([uid]);
      return state?.watermarkMs;
    });
    await using follower = await scheduler(install, files('edited', manifest('job', '700ms')));
    await follower.line(/differ from what is in force, and another scheduler leads/);
    // Several looks at the files later it has neither meddled nor said it again.
    await settled([uid], (await broker.now()) + 4_000);
    assert.equal((await broker.queue(QUEUE).schedules.eras(uid)).length, 1);
    assert.equal(follower.lines.filter((line) => line.includes('differ from what is in force')).length, 1);

    const killedAt = await kill(leader, install);
    const eras = await until(
      'the edited spec is in force',
      async () => {
        const found: readonly Era[] = await broker.queue(QUEUE).schedules.eras(uid);
        return found.length > 1 && found;
      },
      { deadlineMs: TAKEOVER_MS, describe: () => follower.lines.join('\n') },
    );
    const tookMs = Math.round(performance.now() - killedAt);
    const [old, edited] = eras;
    assert.ok(old?.untilMs !== undefined && edited !== undefined && eras.length === 2);
    assert.match(edited.spec, /700ms/);
    const untilMs = (await broker.now()) + 3_500;
    await settled([uid], untilMs);
    const accounts = [
      await slotAccount(broker.queue(QUEUE), uid, '500ms', { ...old, untilMs: old.untilMs - EDIT_MS }),
      await slotAccount(broker.queue(QUEUE), uid, '700ms', { ...edited, untilMs }),
    ];
    t.diagnostic(`in force after ${tookMs} ms: ${JSON.stringify(accounts)}`);
    for (const { slots, undecided, doubled } of accounts) {
      assert.ok(slots > 2);
      assert.deepEqual({ undecided, doubled }, { undecided: 0, doubled: 0 });
    }
  });

  test('a leader that is killed and the next one, frozen and thawed, cost no slot and double none', async (t) => {
    const install = 'same';
    const schedules = { fast: '200ms', half: '500ms', second: '1s' } as const;
    const names = Object.entries(schedules);
    const uids = names.map(([name]) => uidOf(install, name));
    const path = files('same', ...names.map(([name, interval]) => manifest(name, interval)));
    await using first = await scheduler(install, path);
    await leads(first);
    await using second = await scheduler(install, path);
    await settled(uids, (await broker.now()) + 1_000);
    await kill(first, install);
    await leads(second, TAKEOVER_MS);
    await settled(uids, (await broker.now()) + 1_000);

    await using third = await scheduler(install, path);
    second.signal('SIGSTOP');
    // As if its lease had run out: thawed this early, it believes for seconds that it leads, beside the one that does.
    await redis.command('DEL', lockOf(install));
    await leads(third);
    await settled(uids, (await broker.now()) + 1_000);
    second.signal('SIGCONT');
    await second.line(/no longer leads/);
    const untilMs = (await broker.now()) + 2_000;
    await settled(uids, untilMs);

    for (const [index, [name, interval]] of names.entries()) {
      const uid = uids[index] ?? '';
      const eras = await broker.queue(QUEUE).schedules.eras(uid);
      const [era] = eras;
      assert.ok(era !== undefined && eras.length === 1, `${name} was adopted ${eras.length} times`);
      const account = await slotAccount(broker.queue(QUEUE), uid, interval, { ...era, untilMs });
      t.diagnostic(`${name} every ${interval}: ${JSON.stringify(account)}`);
      assert.ok(account.slots >= slotsOf(interval, untilMs - 15_000, untilMs).length);
      assert.deepEqual({ ...account, slots: 0 }, { slots: 0, undecided: 0, doubled: 0 });
    }
    const states = await broker.queue(QUEUE).schedules.states(uids);
    const fired = states.reduce((sum, state) => sum + (state?.fired ?? 0), 0);
    const waiting = states.reduce((sum, state) => sum + (state?.active ?? 0), 0);
    assert.equal(waiting, fired, 'each slot that fired has one run in the queue');
  });
});
