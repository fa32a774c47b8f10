/** What kubectl, kstatus and our plugin make of objects: with a controller, without one, for bad ones, after an edit. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { kstatusOf } from '../../support/kstatus.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet } from './controllers.ts';

const PLUGIN = join(import.meta.dirname, '../../../bin/kubectl-tidemill.js');
const WORK = { task: 'work', every: '1h', params: { ms: 1 } };
const WAIT = '--timeout=30s';
const Next = z.object({ schedules: z.array(z.object({ slots: z.array(z.string()) })) });

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('tools on objects', () => {
  let fleet: ControllerFleet;
  before(async () => {
    fleet = await ControllerFleet.start();
  });
  after(() => fleet[Symbol.asyncDispose]());

  const plugin = (...args: readonly string[]): Promise<Answer> =>
    new Promise((resolve) => {
      const env = { ...process.env, KUBECONFIG: fleet.plane.adminKubeconfig };
      execFile(
        process.execPath,
        [PLUGIN, ...args, '-n', fleet.namespace],
        { env },
        (error, stdout, stderr) => {
          resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
        },
      );
    });

  describe('without a controller', () => {
    test('a new object is in progress, and says that nobody has seen it', async () => {
      await fleet.apply({ unseen: WORK });
      const object = await fleet.object('unseen');
      assert.equal(kstatusOf(object), 'InProgress');
      assert.match(await fleet.kubectl('get', 'st', 'unseen'), /unseen +work +1h +Unknown +Pending/);
      const { code } = await fleet.plane.kubectl([
        ...['-n', fleet.namespace, 'wait', '--for=condition=Ready', 'st/unseen', '--timeout=1s'],
      ]);
      assert.notEqual(code, 0);
      const { stdout } = await plugin('why', 'unseen');
      assert.match(stdout, /Ready is Unknown, Pending: no controller has seen this object yet/);
    });
  });

  describe('with a controller', () => {
    let controller: Controller;
    before(async () => {
      await fleet.consumer();
      controller = await fleet.controller();
      await fleet.leads(controller);
    });

    test('kubectl wait and kstatus see a new object become ready', async () => {
      await fleet.apply({ good: WORK });
      await fleet.kubectl('wait', '--for=condition=Ready', 'st/good', WAIT);
      const object = await fleet.object('good');
      assert.equal(kstatusOf(object), 'Current');
      assert.equal(object.status?.observedGeneration, object.metadata.generation);
      // What was there before any controller is ready as well by now.
      await fleet.kubectl('wait', '--for=condition=Ready', 'st/unseen', WAIT);
    });

    test('an edit is in progress until it is in force', async () => {
      await fleet.apply({ edited: WORK });
      await fleet.kubectl('wait', '--for=condition=Ready', 'st/edited', WAIT);
      await fleet.kubectl('patch', 'st', 'edited', '--type=merge', '-p', '{"spec":{"every":"2h"}}');
      await fleet.kubectl('wait', '--for=jsonpath={.status.observedGeneration}=2', 'st/edited', WAIT);
      assert.equal(kstatusOf(await fleet.object('edited')), 'Current');
    });

    test('an object whose zone does not exist has failed, and names the field', async () => {
      await fleet.apply({ lost: { task: 'work', schedule: '0 3 * * *', timeZone: 'Europe/Atlantis' } });
      await fleet.kubectl('wait', '--for=condition=Stalled', 'st/lost', WAIT);
      const object = await fleet.object('lost');
      assert.equal(kstatusOf(object), 'Failed');
      const ready = object.status?.conditions?.find(({ type }) => type === 'Ready');
      assert.equal(ready?.reason, 'UnknownTimeZone');
      assert.match(ready.message, /spec\.timeZone.*Europe\/Atlantis/);
    });

    test('a task that nobody knows is in progress, not failed, for a while', async () => {
      await fleet.apply({ stranger: { ...WORK, task: 'nobody-knows-me' } });
      await fleet.kubectl('wait', '--for=jsonpath={.status.observedGeneration}=1', 'st/stranger', WAIT);
      assert.equal(kstatusOf(await fleet.object('stranger')), 'InProgress');
    });

    test('a suspended object is ready, and says so', async () => {
      await fleet.apply({ asleep: { ...WORK, suspend: true } });
      await fleet.kubectl('wait', '--for=condition=Ready', 'st/asleep', WAIT);
      assert.match(await fleet.kubectl('get', 'st', 'asleep'), /True +Suspended/);
      assert.equal(kstatusOf(await fleet.object('asleep')), 'Current');
    });

    test('annotating run-now runs the task once, and kubectl wait sees it succeed', async () => {
      await fleet.apply({ byhand: { ...WORK, suspend: true } });
      await fleet.kubectl('wait', '--for=condition=Ready', 'st/byhand', WAIT);
      await fleet.kubectl(
        ...['annotate', 'st', 'byhand', 'tidemill.dev/run-now=first', 'tidemill.dev/run-now-params={"ms":2}'],
      );
      await fleet.kubectl('wait', '--for=jsonpath={.status.lastTrigger.state}=Succeeded', 'st/byhand', WAIT);
      const { status } = await fleet.object('byhand');
      assert.equal(status?.lastTrigger?.request, 'first');
      const run = await fleet.queue.runs.get(status.lastTrigger.runId ?? '');
      assert.equal(run?.params, '{"ms":2}');
      // Taking the annotation away, and setting it to the same again, asks for nothing.
      await fleet.kubectl('annotate', 'st', 'byhand', 'tidemill.dev/run-now-');
      await fleet.kubectl('annotate', 'st', 'byhand', 'tidemill.dev/run-now=first');
      await fleet.kubectl('annotate', 'st', 'byhand', '--overwrite', 'tidemill.dev/run-now=second');
      await fleet.kubectl('wait', '--for=jsonpath={.status.lastTrigger.request}=second', 'st/byhand', WAIT);
      await fleet.kubectl('wait', '--for=jsonpath={.status.lastTrigger.state}=Succeeded', 'st/byhand', WAIT);
      const [state] = await fleet.queue.schedules.states([await fleet.uidOf('byhand')]);
      assert.equal(state?.succeeded, 2);
    });

    test('a request that an object was created with is recorded and runs nothing', async () => {
      await fleet.apply({ restored: { ...WORK, suspend: true } }, { 'tidemill.dev/run-now': 'from-git' });
      await fleet.kubectl('wait', '--for=jsonpath={.status.lastTrigger.state}=Recorded', 'st/restored', WAIT);
      const [state] = await fleet.queue.schedules.states([await fleet.uidOf('restored')]);
      assert.equal(state?.fired, 0);
    });

    test('the plugin triggers and waits, suspends, resumes, and tells what is next and why', async () => {
      await fleet.apply({ plugged: WORK });
      await fleet.kubectl('wait', '--for=condition=Ready', 'st/plugged', WAIT);
      const triggered = await plugin('trigger', 'plugged', '-p', 'ms=3', '--wait');
      assert.deepEqual({ ...triggered, stdout: '' }, { code: 0, stdout: '', stderr: '' });
      assert.match(triggered.stdout, /^plugged: Succeeded \(run /);
      const refused = await plugin('trigger', 'plugged', '-p', 'ms=soon', '--json');
      assert.equal(refused.code, 1);
      assert.match(refused.stdout, /"state":"Refused".*ms/);

      const suspended = await plugin('suspend', 'plugged');
      assert.match(suspended.stdout, /is suspended now/);
      await fleet.kubectl(
        ...[
          'wait',
          '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Suspended',
          'st/plugged',
          WAIT,
        ],
      );
      assert.match((await plugin('suspend', 'plugged')).stdout, /was suspended already/);
      assert.match((await plugin('next', 'plugged')).stdout, /suspended: nothing fires/);
      assert.match((await plugin('resume', 'plugged')).stdout, /is active now/);
      const next = await plugin('next', 'plugged', '--count', '2', '--json');
      assert.equal(Next.parse(JSON.parse(next.stdout)).schedules[0]?.slots.length, 2);

      const why = await until('the status tells of the last run', async () => {
        const answer = await plugin('why', 'plugged');
        return answer.stdout.includes('The last run') && answer;
      });
      assert.equal(why.code, 0);
      assert.match(why.stdout, /Ready is True, Scheduled/);
      const slot = await plugin('why', 'plugged', '--at', '2020-01-01T00:30:00Z');
      assert.equal(slot.code, 1);
      assert.match(slot.stdout, /has no slot at 2020-01-01 00:30:00Z/);
    });

    test('the plugin says what is wrong: no such object, no such server, no right', async () => {
      const missing = await plugin('why', 'nowhere');
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /there is no ScheduledTask "nowhere" in namespace proof-/);
      const nobody = await fleet.plane.serviceAccount(fleet.namespace, 'nobody');
      const forbidden = await plugin('why', 'good', '--kubeconfig', nobody.kubeconfig);
      assert.notEqual(forbidden.code, 0);
      assert.match(forbidden.stderr, /may not|forbidden|cannot get/i);
    });

    test('kubectl finds the plugin by its name', async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'tidemill-plugin-'));
      t.after(() => rmSync(folder, { recursive: true }));
      symlinkSync(PLUGIN, join(folder, 'kubectl-tidemill'));
      const path = process.env['PATH'];
      process.env['PATH'] = [folder, dirname(process.execPath), path].join(delimiter);
      t.after(() => {
        process.env['PATH'] = path;
      });
      const help = await fleet.plane.mustKubectl(['tidemill', '--help']);
      for (const verb of ['trigger', 'suspend', 'resume', 'next', 'why']) assert.ok(help.includes(verb));
    });
  });
});
