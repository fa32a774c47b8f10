/**
 * A run as text in Redis. Five parts with a newline between, so that a script can change the first two and copy the rest
 * unread, and no script ever decodes JSON:
 *
 *     head      state;attempt;deaths;suspect;enqueued;due;expires;started;ended;incarnation   written by scripts
 *     outcome   JSON without newline: result (s), error (f, or of the last attempt), reason (c); or empty
 *     identity  lane;schedule uid;slot                                                        written by the client
 *     options   JSON without newline
 *     params    as given, to the end
 */
import { isTerminal, type RunError, type RunOptions, type RunRecord, type RunState } from '../../task/run.ts';
import { RunErrorSchema, RunOptionsSchema } from '../../task/run-schema.ts';
import { scheduleUidOfRunId, slotOfRunId } from '../../task/ids.ts';
import type { RunRequest } from '../../task/request.ts';
import type { LastRun } from '../../task/schedule-state.ts';
import { laneName, parseLane } from './keys.ts';
import { decodeReason } from './reason-text.ts';

const STATE_OF: Readonly<Record<string, RunState>> = {
  p: 'pending',
  d: 'delayed',
  r: 'running',
  s: 'succeeded',
  f: 'failed',
  c: 'cancelled',
  x: 'expired',
};

/** As in `lib/runs.lua`, which says why the numbers of digits are bounded. */
const HEAD_PATTERN =
  /^([pdrsfcx]);(\d{1,9});(\d{1,9});([01]);(\d{1,15});(\d{0,15});(\d{0,15});(\d{0,15});(\d{0,15});([^;\n]*)$/;

type Instants = Pick<RunRecord, 'dueAtMs' | 'expiresAtMs' | 'startedAtMs' | 'endedAtMs' | 'incarnation'>;

interface Head {
  readonly state: RunState;
  readonly attempt: number;
  readonly deaths: number;
  readonly suspect: boolean;
  readonly enqueuedAtMs: number;
  readonly instants: Partial<Instants>;
}

/**
 * What stands before the params of a record and is written by the client at enqueue: `identity\noptions\n`. Runs of one task
 * that were made alike have the same, and the same string: the last one made is kept.
 */
export function encodePreamble(request: RunRequest): string {
  // Runs belong to a schedule by their id, never by their options.
  const uid = scheduleUidOfRunId(request.id) ?? '';
  const slot = uid === '' ? '' : (slotOfRunId(request.id) ?? '');
  const { task, priority, options } = request;
  const last = lastPreamble;
  if (uid === '' && last?.options === options && last.task === task && last.priority === priority)
    return last.text;
  const text = `${laneName(task, priority)};${uid};${slot}\n${JSON.stringify(options)}\n`;
  if (uid === '' && Object.isFrozen(options) && isFlat(options))
    lastPreamble = { task, priority, options, text };
  return text;
}

const isFlat = (options: RunOptions): boolean =>
  Object.values(options).every((value) => typeof value !== 'object');

/** Of a run of no schedule whose options are frozen and flat, as `make-request.ts` shares them: they never change. */
let lastPreamble: (Pick<RunRequest, 'task' | 'priority' | 'options'> & { readonly text: string }) | undefined;

/** JSON text on one line: a raw newline in JSON is only ever white space between tokens. */
export function onOneLine(json: string): string {
  return json.includes('\n') || json.includes('\r') ? json.replaceAll(/[\r\n]+/g, ' ') : json;
}

export function encodeError(error: RunError): string {
  return JSON.stringify(error);
}

/** The run, or `undefined` when the text is no record of this format. `suspect`: a process died with it. */
export function decodeRecord(
  queue: string,
  id: string,
  text: string,
): { readonly record: RunRecord; readonly suspect: boolean } | undefined {
  const parts = splitRecord(text);
  if (parts === undefined) return undefined;
  const head = headOf(parts.head);
  const lane = laneOf(parts.identity);
  if (head === undefined || lane === undefined) return undefined;
  const record: RunRecord = {
    id,
    queue,
    task: lane.task,
    priority: lane.priority,
    state: head.state,
    params: parts.params,
    options: decodeOptions(parts.options),
    attempt: head.attempt,
    deaths: head.deaths,
    enqueuedAtMs: head.enqueuedAtMs,
    ...head.instants,
    ...(parts.outcome === '' ? undefined : decodeOutcome(head.state, parts.outcome)),
  };
  return { record, suspect: head.suspect };
}

/** What `lib/finish.lua` writes into a schedule's hash: `id\nhead\noutcome\nslot`. */
export function decodeLastRun(text: string): LastRun | undefined {
  const [id, headText, outcome, slot] = text.split('\n');
  const head = headText === undefined ? undefined : decodeHead(headText);
  const { endedAtMs, startedAtMs } = head?.instants ?? {};
  if (id === undefined || head === undefined || !isTerminal(head.state) || endedAtMs === undefined)
    return undefined;
  const { error } = decodeOutcome(head.state, outcome ?? '');
  return {
    id,
    state: head.state,
    endedAtMs,
    attempt: head.attempt,
    ...(slot === undefined || slot === '' ? {} : { slotMs: Number(slot) }),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    ...(error === undefined ? {} : { error }),
  };
}

interface RecordParts {
  readonly head: string;
  readonly outcome: string;
  readonly identity: string;
  readonly options: string;
  readonly params: string;
}

function splitRecord(text: string): RecordParts | undefined {
  const first = text.indexOf('\n');
  const second = text.indexOf('\n', first + 1);
  const third = text.indexOf('\n', second + 1);
  const fourth = text.indexOf('\n', third + 1);
  if (first < 0 || second <= first || third <= second) return undefined;
  const optionsEnd = fourth < 0 ? text.length : fourth;
  return {
    head: text.slice(0, first),
    outcome: text.slice(first + 1, second),
    identity: text.slice(second + 1, third),
    options: text.slice(third + 1, optionsEnd),
    params: text.slice(optionsEnd + 1),
  };
}

/** The runs of a claim mostly have the same head, lane and options: the last text parsed is very often the next one too. */
const lastHead: { text: string; head: Head | undefined } = { text: '', head: undefined };
const lastLane: { text: string; lane: ReturnType<typeof parseLane> } = { text: '', lane: undefined };

function headOf(text: string): Head | undefined {
  if (text !== lastHead.text) {
    lastHead.head = decodeHead(text);
    lastHead.text = text;
  }
  return lastHead.head;
}

function laneOf(identity: string): ReturnType<typeof parseLane> {
  const end = identity.indexOf(';');
  const text = end < 0 ? identity : identity.slice(0, end);
  if (text !== lastLane.text) {
    lastLane.lane = parseLane(text);
    lastLane.text = text;
  }
  return lastLane.lane;
}

function decodeHead(text: string): Head | undefined {
  const match = HEAD_PATTERN.exec(text);
  const state = STATE_OF[match?.[1] ?? ''];
  if (match === null || state === undefined) return undefined;
  return {
    state,
    attempt: Number(match[2]),
    deaths: Number(match[3]),
    suspect: match[4] === '1',
    enqueuedAtMs: Number(match[5]),
    instants: {
      ...instant('dueAtMs', match[6]),
      ...instant('expiresAtMs', match[7]),
      ...instant('startedAtMs', match[8]),
      ...instant('endedAtMs', match[9]),
      ...(match[10] === '' || match[10] === undefined ? {} : { incarnation: match[10] }),
    },
  };
}

function instant(name: Exclude<keyof Instants, 'incarnation'>, text: string | undefined): Partial<Instants> {
  return text === undefined || text === '' ? {} : { [name]: Number(text) };
}

const lastOptions: { text: string; options: RunOptions } = { text: '', options: { source: 'unknown' } };

/** Options that cannot be read are of an unknown source: people can look at the run, and no consumer starts it. */
function decodeOptions(text: string): RunOptions {
  if (text === lastOptions.text) return lastOptions.options;
  const parsed = RunOptionsSchema.safeParse(parseJson(text));
  lastOptions.text = text;
  lastOptions.options = parsed.success ? parsed.data : { source: 'unknown' };
  return lastOptions.options;
}

function decodeOutcome(state: RunState, text: string): Pick<RunRecord, 'result' | 'error' | 'cancelReason'> {
  if (text === '') return {};
  if (state === 'succeeded') return { result: text };
  if (state === 'cancelled') return { cancelReason: decodeReason(text) };
  const parsed = RunErrorSchema.safeParse(parseJson(text));
  return parsed.success ? { error: parsed.data } : {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
