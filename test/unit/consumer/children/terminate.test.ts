import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { signalGroup, terminateGroup } from '../../../../src/consumer/children/terminate.ts';
import { systemClock } from '../../../../src/runtime/clock.ts';
import { VirtualClock } from '../../../../src/runtime/virtual-clock.ts';

test('no signal is ever sent to our own group or to every process', () => {
  // With the signal really sent, this test would not live to report it.
  for (const pid of [1, 0, -1, -process.pid]) assert.equal(signalGroup(pid, 'SIGKILL'), false);
});

test('a group that is gone is not there to be signalled, and that is no error', async () => {
  const child = spawn('true', { detached: true });
  await once(child, 'exit');
  assert.equal(signalGroup(child.pid ?? 0, 'SIGTERM'), false);
});

test('a process that heeds SIGTERM is not killed', async () => {
  const child = spawn('sleep', ['600'], { detached: true });
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  await terminateGroup({ pid: child.pid ?? 0, exited }, systemClock, 600_000);
  assert.deepEqual(await exited, [null, 'SIGTERM']);
});

test('a process that ignores SIGTERM is killed when its grace is over, not before', async () => {
  const child = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 1; done'], {
    detached: true,
  });
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  const clock = new VirtualClock();
  const terminated = terminateGroup({ pid: child.pid ?? 0, exited }, clock, 5_000);
  await clock.advanceBy(4_999);
  assert.equal(child.exitCode ?? child.signalCode, null);
  await clock.advanceBy(1);
  await terminated;
  assert.deepEqual(await exited, [null, 'SIGKILL']);
});
