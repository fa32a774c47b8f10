import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { leadWhileConnected, REDIS_AWAY_MS } from '../../../src/cli/lead-while-connected.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

/** Notes when a term of leading begins and ends. */
function candidate() {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const redis = { connected: true };
  const terms: { readonly fromMs: number; untilMs?: number }[] = [];
  const startedMs = clock.monotonic();
  const running = leadWhileConnected(
    { connected: () => redis.connected, clock, log: silentLog },
    stop.signal,
    async (signal) => {
      const term: { readonly fromMs: number; untilMs?: number } = { fromMs: clock.monotonic() - startedMs };
      terms.push(term);
      await clock.sleep(Infinity, signal);
      term.untilMs = clock.monotonic() - startedMs;
    },
  );
  return { clock, stop, redis, terms, running };
}

describe('a controller and Redis', () => {
  test('a short outage of Redis costs no Lease', async () => {
    const { clock, stop, redis, terms, running } = candidate();
    await clock.advanceBy(5_000);
    redis.connected = false;
    await clock.advanceBy(REDIS_AWAY_MS - 2_000);
    redis.connected = true;
    await clock.advanceBy(60_000);
    assert.equal(terms.length, 1);
    assert.equal(terms[0]?.untilMs, undefined);
    stop.abort();
    await running;
  });

  test('whoever cannot reach Redis for 15 s gives the Lease back, and asks for it again when Redis is there', async () => {
    const { clock, stop, redis, terms, running } = candidate();
    await clock.advanceBy(5_000);
    redis.connected = false;
    await clock.advanceBy(60_000);
    assert.equal(terms.length, 1);
    const endedMs = terms[0]?.untilMs ?? Infinity;
    assert.ok(
      endedMs >= 5_000 + REDIS_AWAY_MS - 1_000 && endedMs <= 5_000 + REDIS_AWAY_MS + 1_000,
      `${endedMs}`,
    );
    redis.connected = true;
    await clock.advanceBy(2_000);
    assert.equal(terms.length, 2);
    stop.abort();
    await running;
  });
});
