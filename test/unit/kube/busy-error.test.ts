/** Which answers of the API server are about the call, and which about the moment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiException } from '@kubernetes/client-node';
import { isRefusal } from '../../../src/kube/busy-error.ts';

const answered = (code: number, message: string): ApiException<string> =>
  new ApiException(code, message, JSON.stringify({ kind: 'Status', code, message }), {});

test('an object of which the server takes no apply is no reason to leave all others alone', () => {
  const typed = 'failed to create typed live object (a/b; v1, Kind=X): .spec.every: expected string, got 5';
  assert.equal(isRefusal(answered(500, typed)), true);
  assert.equal(isRefusal(answered(422, 'the object is invalid')), true);
  assert.equal(isRefusal(answered(500, 'etcdserver: request timed out')), false);
  assert.equal(isRefusal(answered(429, 'too many requests')), false);
  assert.equal(isRefusal(answered(403, 'forbidden')), false);
});
