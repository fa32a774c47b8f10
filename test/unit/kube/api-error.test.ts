/** What the API server, or the network before it, said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiException } from '@kubernetes/client-node';
import { z } from 'zod';
import { apiStatusOf, kubeError, rightsHint } from '../../../src/kube/api-error.ts';
import { KubeBusyError } from '../../../src/kube/busy-error.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { createLog } from '../../../src/telemetry/log.ts';

const status = (more: object): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', ...more });

const refused = new TypeError('fetch failed', {
  cause: Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:443'), { code: 'ECONNREFUSED' }),
});

test('a Status in the body is read once, with its reason, message and causes', () => {
  const body = status({
    code: 409,
    reason: 'Conflict',
    message: 'the object has been modified',
    details: { causes: [{ field: 'status.active', message: 'too large' }] },
  });
  assert.deepEqual(apiStatusOf(new ApiException(409, 'Conflict', body, {})), {
    code: 409,
    reason: 'Conflict',
    message: 'the object has been modified',
    details: { causes: [{ field: 'status.active', message: 'too large' }] },
  });
});

test('a body that is no Status is quoted, short and on one line', () => {
  const page = `<html>\n<h1>502 Bad Gateway</h1>\n${'x'.repeat(1_000)}</html>`;
  const { code, message } = apiStatusOf(new ApiException(502, 'x', page, { 'content-type': 'text/html' }));
  assert.equal(code, 502);
  assert.match(message, /^<html> <h1>502 Bad Gateway<\/h1> x+$/);
  assert.ok(message.length <= 200);
  assert.equal(apiStatusOf(new ApiException(502, 'x', '', {})).message, 'the answer has no body');
});

test('Retry-After is found in the headers or in the details', () => {
  const body = status({ code: 429, details: { retryAfterSeconds: 4 } });
  assert.equal(apiStatusOf(new ApiException(429, '', body, {})).retryAfterMs, 4_000);
  assert.equal(apiStatusOf(new ApiException(429, '', body, { 'retry-after': '2' })).retryAfterMs, 2_000);
});

test('of a network failure the cause is told, not that fetch failed', () => {
  assert.deepEqual(apiStatusOf(refused), {
    reason: 'ECONNREFUSED',
    message: 'connect ECONNREFUSED 10.0.0.1:443',
  });
});

test('an error of ours tells what caused it', () => {
  const cause = new ApiException(403, '', status({ code: 403, reason: 'Forbidden', message: 'no' }), {});
  assert.equal(apiStatusOf(new TidemillError('KUBE_FORBIDDEN', 'cannot', { cause })).reason, 'Forbidden');
});

test('users get a code by what they can do about it, and a message without bodies and headers', () => {
  const answers = [
    [401, 'KUBE_FORBIDDEN'],
    [403, 'KUBE_FORBIDDEN'],
    [404, 'KUBE_REFUSED'],
    [422, 'KUBE_REFUSED'],
    [429, 'KUBE_UNAVAILABLE'],
    [503, 'KUBE_UNAVAILABLE'],
  ] as const;
  for (const [code, expected] of answers) {
    const body = status({ code, reason: 'Why', message: 'because' });
    const error = kubeError(new ApiException(code, 'x', body, { secret: 'token' }), 'list things');
    assert.equal(error.code, expected);
    assert.equal(error.message, 'cannot list things: Why: because');
  }
  const away = kubeError(refused, 'list things');
  assert.equal(away.code, 'KUBE_UNAVAILABLE');
  assert.equal(away.message, 'cannot list things: connect ECONNREFUSED 10.0.0.1:443');
  assert.equal(kubeError(away, 'do more'), away);
});

test('credentials and rights have a hint, anything else has none', () => {
  assert.match(rightsHint({ code: 403, message: '' }) ?? '', /tidemill rbac/);
  assert.match(rightsHint({ code: 401, message: '' }) ?? '', /token/);
  assert.equal(rightsHint({ code: 404, message: '' }), undefined);
  assert.equal(rightsHint({ message: 'connect ECONNREFUSED' }), undefined);
});

test('what is logged of a refused call is one line: status, reason, message and request, no body, no header, no stack', () => {
  const body = status({ code: 403, reason: 'Forbidden', message: 'pods is forbidden' });
  const exception = new ApiException(403, 'x', body, {
    'audit-id': 'an-audit-id',
    'x-tidemill-request': 'GET /api/v1/pods',
  });
  const lines: string[] = [];
  const log = createLog({ level: 'info', destination: { write: (line) => lines.push(line) } });
  const errors = [kubeError(exception, 'list pods'), new KubeBusyError(exception, 'list pods', 0)];
  for (const err of errors) log.warn('a call failed', { err });
  assert.equal(lines.length, 2);
  for (const line of lines) {
    const { err } = z
      .object({ err: z.object({ message: z.string(), cause: z.unknown() }) })
      .parse(JSON.parse(line));
    assert.equal(err.message, 'cannot list pods: Forbidden: pods is forbidden');
    assert.deepEqual(err.cause, {
      type: 'ApiCallError',
      message: '403 Forbidden: pods is forbidden (GET /api/v1/pods)',
      code: 403,
    });
    assert.doesNotMatch(line, /audit|Headers|HTTP-Code/);
  }
  assert.equal(apiStatusOf(errors[0]).reason, 'Forbidden');
});
