/**
 * Schedules as text in Redis.
 *
 *     decision  from;to;count;exact;letter;reason;generation;decided at;request     exact: 1, or 0 for a lower bound;
 *               letter: f (fired), s (skipped), m (missed); request: JSON string of a run by hand, or empty
 *     era       generation;from;until;suspended;spec                               until: empty while in force
 */
import { z } from 'zod';
import { DECISION_REASONS, type Decision, type DecisionReason } from '../../schedule/reasons.ts';
import type { RunOptions } from '../../task/run.ts';
import type { DecisionRecord, Era, ScheduleState } from '../../task/schedule-state.ts';
import type { FireDecision } from '../broker.ts';
import { decodeLastRun } from './record.ts';

const DECISION_PATTERN = /^(\d+);(\d+);(\d+);([01]);([fsm]);([A-Za-z]*);(\d+);(\d+);(.*)$/s;
const ERA_PATTERN = /^(\d+);(\d+);(\d*);([01]);(.*)$/s;
const DECISION_OF: Readonly<Record<string, Decision>> = { f: 'fired', s: 'skipped', m: 'missed' };

function reasonOf(text: string | undefined): DecisionReason | undefined {
  return DECISION_REASONS.find((reason) => reason === text);
}

/** The decision, or `undefined` when the text is none. */
export function decodeDecision(text: string): DecisionRecord | undefined {
  const match = DECISION_PATTERN.exec(text);
  const decision = DECISION_OF[match?.[5] ?? ''];
  if (match === null || decision === undefined) return undefined;
  const reason = reasonOf(match[6]);
  const request = match[9] === undefined || match[9] === '' ? undefined : decodeRequest(match[9]);
  return {
    ...{
      fromMs: Number(match[1]),
      toMs: Number(match[2]),
      count: Number(match[3]),
      countIsExact: match[4] === '1',
    },
    ...{ decision, generation: Number(match[7]), decidedAtMs: Number(match[8]) },
    ...(reason === undefined ? {} : { reason }),
    ...(request === undefined ? {} : { request }),
  };
}

/** Requests stand in scripts as JSON strings, which hold no raw newline. */
export function encodeRequest(request: string): string {
  return JSON.stringify(request);
}

export function decodeRequest(text: string): string {
  try {
    return z.string().parse(JSON.parse(text));
  } catch {
    return text;
  }
}

/** The era, or `undefined` when the text is none. */
export function decodeEra(text: string): Era | undefined {
  const match = ERA_PATTERN.exec(text);
  if (match === null) return undefined;
  return {
    ...{
      generation: Number(match[1]),
      fromMs: Number(match[2]),
      suspended: match[4] === '1',
      spec: match[5] ?? '',
    },
    ...(match[3] === '' ? {} : { untilMs: Number(match[3]) }),
  };
}

/** What `states.lua` gives of one schedule; `undefined` for one that was never adopted. */
export function decodeState(uid: string, reply: readonly (string | number)[]): ScheduleState | undefined {
  const [active, ...flat] = reply;
  const fields = new Map<string, string>();
  for (let index = 0; index + 1 < flat.length; index += 2)
    fields.set(String(flat[index]), String(flat[index + 1]));
  if (!fields.has('generation')) return undefined;
  const count = (field: string): number => Number(fields.get(field) ?? 0);
  const instant = <K extends string>(field: K): Partial<Record<K, number>> | undefined => {
    const text = fields.get(field);
    const at: Partial<Record<K, number>> = {};
    if (text !== undefined) at[field] = Number(text);
    return at;
  };
  const lastRun = decodeLastRun(fields.get('lastRun') ?? '');
  return {
    ...{ uid, generation: count('generation'), withdrawn: fields.has('withdrawnAtMs') },
    ...{
      suspended: fields.get('suspended') === '1',
      notBeforeMs: count('notBeforeMs'),
      active: Number(active ?? 0),
    },
    ...{ succeeded: count('succeeded'), failed: count('failed'), missed: count('missed') },
    ...{ skipped: count('skipped'), fired: count('fired') },
    ...instant('watermarkMs'),
    ...instant('lastSucceededAtMs'),
    ...instant('lastFailedAtMs'),
    ...(lastRun === undefined ? {} : { lastRun }),
  };
}

/** One decision of `fire.lua`: `f;reason`, `s;reason`, `m;reason`, `d` or `r;why`. */
export function decodeFireDecision(text: string, runId: string | undefined): FireDecision | undefined {
  const [letter = '', word = ''] = text.split(';');
  if (letter === 'd') return { decision: 'duplicate' };
  if (letter === 'r') {
    const why = REFUSALS.find((refusal) => refusal === word);
    return why && { decision: 'refused', why };
  }
  const decision = DECISION_OF[letter];
  if (decision === undefined) return undefined;
  const reason = reasonOf(word);
  return {
    decision,
    ...(reason === undefined ? {} : { reason }),
    ...(decision === 'fired' && runId !== undefined ? { runId } : {}),
  };
}
const REFUSALS = ['not-before', 'suspended', 'future', 'ahead', 'watermark'] as const;

/** The options of a slot's run, cut where the slot goes: `after` is empty when they do not name it. */
export function cutSlotOptions(options: RunOptions): { readonly before: string; readonly after: string } {
  const { schedule, ...others } = options;
  if (schedule === undefined) return { before: JSON.stringify({ ...others, source: 'schedule' }), after: '' };
  const { slotMs: _given, ...rest } = schedule;
  const text = JSON.stringify({ ...others, source: 'schedule', schedule: { ...rest, slotMs: 0 } });
  return { before: text.slice(0, -'0}}'.length), after: '}}' };
}

/** The options of a run by hand. */
export function triggerOptions(options: RunOptions): string {
  const { schedule, ...others } = options;
  if (schedule === undefined) return JSON.stringify({ ...others, source: 'trigger' });
  const { slotMs: _given, ...rest } = schedule;
  return JSON.stringify({ ...others, source: 'trigger', schedule: rest });
}
