import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WaitingRuns } from '../../../../src/consumer/children/waiting-runs.ts';
import type { ExecuteRequest } from '../../../../src/consumer/executor.ts';
import { TidemillError } from '../../../../src/runtime/errors.ts';

type Request = Pick<ExecuteRequest, 'signal'>;

function waitingRuns(): {
  runs: WaitingRuns<string, string, Request>;
  request: () => { request: Request; controller: AbortController };
} {
  const runs = new WaitingRuns<string, string, Request>((child) => Promise.resolve(`ran in ${child}`));
  const request = (): { request: Request; controller: AbortController } => {
    const controller = new AbortController();
    return { request: { signal: controller.signal }, controller };
  };
  return { runs, request };
}

test('the run that has waited longest gets the first free child', async () => {
  const { runs, request } = waitingRuns();
  const first = runs.add(request().request);
  const second = runs.add(request().request);
  runs.serve('a');
  runs.serve('b');
  assert.deepEqual([await first, await second], ['ran in a', 'ran in b']);
  runs.serve('c');
  assert.equal(runs.length, 0);
});

test('an aborted run leaves the line, and a child that comes later goes to the next one', async () => {
  const { runs, request } = waitingRuns();
  const gone = request();
  const aborted = runs.add(gone.request);
  const next = runs.add(request().request);
  gone.controller.abort();
  await assert.rejects(aborted, { code: 'CHILD_START' });
  runs.serve('a');
  assert.equal(await next, 'ran in a');
});

test('a run whose signal had aborted before does not wait at all', async () => {
  const { runs, request } = waitingRuns();
  const gone = request();
  gone.controller.abort();
  await assert.rejects(runs.add(gone.request), { code: 'CHILD_START' });
  assert.equal(runs.length, 0);
});

test('all that wait are refused at once', async () => {
  const { runs, request } = waitingRuns();
  const waiting = [runs.add(request().request), runs.add(request().request)];
  const refusal = new TidemillError('CHILD_START', 'no child');
  runs.refuseAll(refusal);
  assert.deepEqual(await Promise.allSettled(waiting), [
    { status: 'rejected', reason: refusal },
    { status: 'rejected', reason: refusal },
  ]);
  assert.equal(runs.length, 0);
});
