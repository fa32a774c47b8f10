import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { guardProcess } from '../../../src/cli/guard.ts';
import { WatchedLoopLag } from '../../../src/consumer/loop-lag.ts';
import { SILENT_OBSERVER } from '../../../src/consumer/observer.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

function guarded() {
  const source = new EventEmitter();
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level: 'info',
    destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const metrics = new Metrics({ defaults: false });
  let fatal = 0;
  const guard = guardProcess({
    log,
    metrics,
    onFatal: () => (fatal += 1),
    source: Object.assign(source, {}),
  });
  const loopLag = new WatchedLoopLag({ log, observer: SILENT_OBSERVER, running: guard.running });
  return { source, lines, metrics, guard, loopLag, fatal: () => fatal };
}

test('a late rejection of a task is logged with its name, counted, and does no more', async () => {
  const { source, lines, metrics, loopLag, fatal } = guarded();
  loopLag.attribute('fetch-data', () => source.emit('unhandledRejection', new Error('late')));
  assert.equal(lines[0]?.['task'], 'fetch-data');
  assert.match(JSON.stringify(lines[0]), /late/);
  assert.match(await metrics.render(), /tidemill_uncaught_errors_total\{kind="rejection"\} 1/);
  assert.equal(fatal(), 0);
});

test('an exception of a task, thrown long after its run, is known by its async context', async () => {
  const { source, lines, loopLag, fatal } = guarded();
  await loopLag.attribute('fetch-data', async () => {
    await Promise.resolve();
    source.emit('uncaughtException', new Error('from a socket'));
  });
  assert.equal(lines[0]?.['task'], 'fetch-data');
  assert.equal(fatal(), 0);
});

test('an exception that no task can be blamed for asks for an end', () => {
  const { source, guard, fatal } = guarded();
  source.emit('uncaughtException', new Error('who knows'));
  assert.equal(fatal(), 1);
  assert.equal(guard.fatal, true);
});

test('disposing takes the listeners away', () => {
  const { source, guard } = guarded();
  guard[Symbol.dispose]();
  assert.deepEqual(source.eventNames(), []);
});
