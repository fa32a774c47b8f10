/** The Lua scripts as texts: all there, all with a shebang, in step with what TypeScript says. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import {
  DECISION_LOG_CAP,
  DEFAULT_QUEUE_SETTINGS,
  ERA_CAP,
  FUTURE_SLOT_TOLERANCE_MS,
  MANIFEST_KEPT_MS,
  SILENT_CONSUMER_MS,
  REJECTED_DELAY_MS,
  TOMBSTONE_KEPT_MS,
  TRIGGER_MEMORY,
} from '../../../../src/broker/broker.ts';
import { SCRIPT_NAMES, scriptSource, type ScriptName } from '../../../../src/broker/redis/scripts.ts';

const FOLDER = new URL('../../../../src/broker/redis/lua/', import.meta.url);
/** These drain a full Redis; all others are refused by it. */
const MUST_ALLOW_OOM = [
  'cancel',
  'cycle',
  'leave',
  'promote',
  'purge',
  'recover',
  'register',
  'renew',
  'pause-queue',
  'pause-task',
] as const;

test('every script file is listed, and every listed script has its file', () => {
  const files = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.lua'))
    .map((name) => name.slice(0, -4));
  assert.deepEqual(files.toSorted(), [...SCRIPT_NAMES].toSorted());
});

test('every script has a shebang, has no include left, and none decodes JSON', () => {
  for (const name of SCRIPT_NAMES) {
    const source = scriptSource(name);
    assert.match(source, /^#!lua/, name);
    assert.doesNotMatch(source, /@include|cjson|cmsgpack/, name);
  }
});

test('scripts that drain work are allowed in a full Redis, and enqueue and fire are not', () => {
  for (const name of MUST_ALLOW_OOM) assert.match(scriptSource(name), /^#!lua flags=\S*allow-oom/, name);
  for (const name of ['enqueue', 'fire'] as const)
    assert.doesNotMatch(scriptSource(name), /^#!lua.*allow-oom/, name);
});

test('defaults and delays in Lua are those of the contract', () => {
  const source = scriptSource('recover');
  for (const [field, value] of Object.entries(DEFAULT_QUEUE_SETTINGS))
    assert.match(source, new RegExp(`\\b${field} = ${value}\\b`), field);
  assert.match(scriptSource('cycle'), new RegExp(`REJECTED_DELAY_MS = ${REJECTED_DELAY_MS}\\b`));
  assert.match(source, new RegExp(`MANIFEST_KEPT_MS = ${MANIFEST_KEPT_MS}\\b`));
});

test('bounds and times of schedules in Lua are those of the contract', () => {
  assert.deepEqual(constantsOf('fire', ['LOG_CAP', 'ERA_CAP', 'REQUESTS_KEPT', 'FUTURE_TOLERANCE_MS']), [
    ...[DECISION_LOG_CAP, ERA_CAP, TRIGGER_MEMORY, FUTURE_SLOT_TOLERANCE_MS],
  ]);
  assert.deepEqual(constantsOf('withdraw', ['TOMBSTONE_KEPT_MS']), [TOMBSTONE_KEPT_MS]);
  assert.deepEqual(constantsOf('manifests', ['MANIFEST_KEPT_MS', 'SILENT_CONSUMER_MS']), [
    MANIFEST_KEPT_MS,
    SILENT_CONSUMER_MS,
  ]);
});

/** The numbers that a script gives to these names, alone (`local A = 1`) or together (`local A, B = 1, 2`). */
function constantsOf(script: ScriptName, names: readonly string[]): readonly number[] {
  const found = new Map<string, number>();
  for (const [, left = '', right = ''] of scriptSource(script).matchAll(
    /^local ([A-Z_, ]+) = ([\d, ]+)$/gm,
  )) {
    const values = right.split(',').map(Number);
    left.split(',').forEach((name, index) => found.set(name.trim(), values[index] ?? Number.NaN));
  }
  return names.map((name) => found.get(name) ?? assert.fail(`${script} names no ${name}`));
}
