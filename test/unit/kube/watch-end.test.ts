/** After a watch: what follows, and when. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ApiException } from '@kubernetes/client-node';
import { kubeBackoffMs, retryAfterMs } from '../../../src/kube/backoff.ts';
import { isOlder } from '../../../src/kube/resource-version.ts';
import { endOf, HEALTHY_MS, nextTurn } from '../../../src/kube/watch-end.ts';
import { UnreadableEventError, WatchSilentError } from '../../../src/kube/watch-stream.ts';

const none = (): number => 0;

describe('back-off', () => {
  test('is between 1 and 30 s, doubles, and is spread', () => {
    const least = [1, 2, 3, 4, 5, 6, 50].map((failures) => kubeBackoffMs(failures, () => 0));
    const most = [1, 2, 3, 4, 5, 6, 50].map((failures) => kubeBackoffMs(failures, () => 1));
    assert.deepEqual(least, [1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
    assert.deepEqual(most, [1_500, 3_000, 6_000, 12_000, 24_000, 30_000, 30_000]);
  });

  test('Retry-After is read as seconds or as a date, and not obeyed beyond a minute', () => {
    const nowMs = Date.UTC(2026, 0, 1);
    assert.equal(retryAfterMs({ 'retry-after': '7' }, nowMs), 7_000);
    assert.equal(retryAfterMs({ 'retry-after': new Date(nowMs + 5_000).toUTCString() }, nowMs), 5_000);
    assert.equal(retryAfterMs({ 'retry-after': new Date(nowMs - 5_000).toUTCString() }, nowMs), 0);
    assert.equal(retryAfterMs({ 'retry-after': '86400' }, nowMs), 60_000);
    assert.equal(retryAfterMs({ 'retry-after': 'soon' }, nowMs), undefined);
    assert.equal(retryAfterMs({}, nowMs), undefined);
  });
});

describe('the turn after a watch', () => {
  const failure = { reason: 'error', error: new Error('cut') } as const;

  test('after a healthy one that closed or fell silent the next follows at once, from where it was', () => {
    for (const reason of ['closed', 'silence'] as const) {
      assert.deepEqual(nextTurn({ reason }, HEALTHY_MS, 4, none), {
        begin: 'watch',
        delayMs: 0,
        failures: 0,
      });
    }
  });

  test('a version that the server does not know, or that is ahead of it, and a due list begin with a list', () => {
    for (const reason of ['gone', 'rewound', 'relist'] as const) {
      assert.equal(nextTurn({ reason }, HEALTHY_MS, 0, none).begin, 'list');
      assert.equal(nextTurn({ reason }, HEALTHY_MS, 0, none).delayMs, 0);
    }
    const unreadable = endOf(new UnreadableEventError('no JSON'), 0);
    assert.equal(nextTurn(unreadable, HEALTHY_MS, 0, none).begin, 'list');
  });

  test('what ends before it was healthy is a failure, whatever the reason, and waits longer each time', () => {
    for (const end of [failure, { reason: 'closed' }, { reason: 'gone' }, { reason: 'rewound' }] as const) {
      assert.equal(nextTurn(end, HEALTHY_MS - 1, 0, none).delayMs, 1_000);
      assert.deepEqual(nextTurn(end, 0, 2, none).delayMs, 4_000);
      assert.equal(nextTurn(end, 0, 2, none).failures, 3);
    }
  });

  test('a failure after a healthy watch is the first of a new row', () => {
    assert.deepEqual(nextTurn(failure, HEALTHY_MS, 6, none), { begin: 'watch', delayMs: 1_000, failures: 1 });
  });

  test('the server is left alone for as long as it asks', () => {
    const busy = endOf(new ApiException(429, '', '{"code":429}', { 'retry-after': '9' }), 0);
    assert.equal(busy.retryAfterMs, 9_000);
    assert.equal(nextTurn(busy, 0, 0, none).delayMs, 9_000);
    assert.equal(nextTurn(busy, 0, 9, none).delayMs, 20_000);
  });

  test('ends are told apart by what was thrown', () => {
    assert.deepEqual(endOf(new WatchSilentError('30 s'), 0), { reason: 'silence' });
    assert.equal(endOf(new ApiException(410, '', '{"reason":"Expired"}', {}), 0).reason, 'gone');
    assert.equal(endOf(new ApiException(500, '', 'oops', {}), 0).reason, 'error');
    assert.equal(endOf(new TypeError('terminated'), 0).reason, 'error');
  });
});

test('versions are compared as numbers, and never when they are none', () => {
  assert.equal(isOlder('9', '10'), true);
  assert.equal(isOlder('10', '9'), false);
  assert.equal(isOlder('10', '10'), false);
  assert.equal(isOlder('18446744073709551614', '18446744073709551615'), true);
  assert.equal(isOlder('abc', '10'), false);
  assert.equal(isOlder('1', undefined), false);
  assert.equal(isOlder(undefined, '1'), false);
});
