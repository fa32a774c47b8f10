import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCKED_MS, WatchedLoopLag } from '../../../src/consumer/loop-lag.ts';
import { SILENT_OBSERVER } from '../../../src/consumer/observer.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { type Log, silentLog } from '../../../src/telemetry/log.ts';

interface Block {
  readonly task: string | undefined;
  readonly lagMs: number;
  readonly at: string | undefined;
}

/** Nearly all of its time passes in this file: a thread that stops it at any moment finds a line of it on top. */
function burn(ms: number): void {
  const untilMs = systemClock.monotonic() + ms;
  let sum = 0;
  while (systemClock.monotonic() < untilMs && sum >= 0) {
    for (let step = 0; step < 1_000_000; step += 1) sum = (sum + step) % 1_000_003;
  }
}

function watch(): { readonly lag: WatchedLoopLag; readonly blocks: Block[]; readonly lines: unknown[] } {
  const blocks: Block[] = [];
  const lines: unknown[] = [];
  const log: Log = { ...silentLog, warn: (message, fields) => lines.push({ message, ...fields }) };
  const observer = { ...SILENT_OBSERVER, loopBlocked: (block: Block) => void blocks.push(block) };
  const lag = new WatchedLoopLag({ log, observer });
  lag.start();
  return { lag, blocks, lines };
}

/** The watcher thread needs a moment to come up, and a core to run on: tried again until it named somebody. */
async function blockUntil(named: () => boolean, body: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < 8 && !named(); tries += 1) {
    await systemClock.sleep(150);
    await body();
    await systemClock.sleep(150);
  }
}

test('the task whose code blocks the loop after an await is named, others that wait are not', async () => {
  const { lag, blocks, lines } = watch();
  using _ = lag;
  const idle = lag.attribute('innocent', () => systemClock.sleep(60_000, AbortSignal.timeout(10_000)));
  await blockUntil(
    () => blocks.some(({ task }) => task !== undefined),
    () =>
      lag.attribute('guilty', async () => {
        await systemClock.sleep(10);
        burn(BLOCKED_MS * 5);
      }),
  );
  assert.deepEqual(
    [...new Set(blocks.map(({ task }) => task))].filter((task) => task !== undefined),
    ['guilty'],
  );
  const block = blocks.find(({ task }) => task === 'guilty');
  assert.ok(block !== undefined && block.lagMs > BLOCKED_MS && block.lagMs < 60_000);
  assert.match(block.at ?? '', /loop-lag\.test\.ts:\d+$/);
  assert.match(JSON.stringify(lines), /cpuBound: true/);
  void idle;
});

test('a block by code of no task is reported without a name', async () => {
  const { lag, blocks } = watch();
  using _ = lag;
  await blockUntil(
    () => blocks.length > 0,
    async () => {
      burn(BLOCKED_MS * 3);
    },
  );
  assert.ok(blocks.length > 0);
  assert.equal(blocks[0]?.task, undefined);
});

test('a loop that keeps turning is not reported, and disposing twice is harmless', async () => {
  // A busy machine may hold the whole process up: only a round in which it did not can tell.
  for (let round = 1; ; round += 1) {
    const { lag, blocks } = watch();
    let longestTurnMs = 0;
    for (let turns = 0; turns < 10; turns += 1) {
      const startMs = systemClock.monotonic();
      burn(20);
      await systemClock.sleep(1);
      longestTurnMs = Math.max(longestTurnMs, systemClock.monotonic() - startMs);
    }
    lag[Symbol.dispose]();
    lag[Symbol.dispose]();
    if (longestTurnMs >= BLOCKED_MS && round < 20) continue;
    assert.deepEqual(blocks, []);
    return;
  }
});
