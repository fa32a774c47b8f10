/** `tidemill schedules why`: what became of one slot, and by which spec. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { Broker } from '../../broker/broker.ts';
import { slotRunId } from '../../task/ids.ts';
import { isTerminal, type RunRecord } from '../../task/run.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { withBroker } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { findSchedule, type FoundSchedule, nameOf } from '../find-schedule.ts';
import { printable, showTook } from '../format.ts';
import { styled } from '../io.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { WhySettings } from '../settings.ts';
import { eraTiming, parseInstant, zoneOf } from '../show-timing.ts';
import { readQueueState, reasonsToWait } from '../why-runs-wait.ts';
import { type EraTiming, why, type WhyAnswer } from '../why.ts';

const WhyOptions = z.object({ at: z.string().optional() });
/** Nobody asks about a slot that came this moment: it may be undecided still. */
const JUST_NOW_MS = 2_000;
const DECISIONS_READ = 100;
/** Around the time that was typed: to the second, and a slot within it. */
const AROUND_MS = 1_000;

export function addSchedulesWhy(parent: Command, surroundings: Surroundings): void {
  addCommand(
    parent,
    {
      name: 'why',
      summary: 'say why a schedule fired at a time, or why it did not',
      details:
        'Without --at it is the last slot that has come. A time without an offset is local time in the zone of the schedule. The answer comes from what was recorded when it was decided,\n' +
        'and from the spec that was in force then. The exit code is 0 when the slot fired, and 1 when it did not.',
      args: [['<schedule>', 'name, or namespace/name']],
      examples: [
        'tidemill schedules why nightly-report',
        'tidemill schedules why nightly-report --at 2026-03-29T02:30',
        'tidemill schedules why team-a/nightly-report --at 2026-03-29T00:30:00Z --json',
      ],
      settings: WhySettings,
      rules: REDIS_RULES,
      flags: [{ flags: '--at <time>', help: 'the time that is asked about (default: the last slot)' }],
      options: WhyOptions,
      jsonHelp: 'print {"verdict", "slot", "summary", "details", "decision", "era", "run"}',
      run: runWhy,
    },
    surroundings,
  );
}

async function runWhy({
  settings,
  options,
  args: [wanted = ''],
  json,
  io,
}: Call<typeof WhySettings, typeof WhyOptions>): Promise<ExitCode> {
  const { name, answer, run } = await withBroker({ settings, io }, async (broker) => {
    const schedule = await findSchedule(broker, settings.install, settings.namespace, wanted);
    const answer = await answerFor(broker, schedule, options.at);
    const { slotMs } = answer;
    const run = slotMs === undefined ? undefined : await runOf(schedule, slotMs);
    const details = [...(await hindrances(schedule, answer, run)), ...answer.details];
    return { name: nameOf(schedule), answer: { ...answer, details }, run };
  });
  if (json) writeJson(io, answerJson(name, answer, run));
  else {
    const style = answer.verdict === 'fired' ? 'green' : 'yellow';
    const sentences = [...(run === undefined ? [] : [runSentence(run)]), ...answer.details];
    io.stdout.write(`${name}: ${styled(io, style, answer.verdict)}\n${printable(answer.summary)}\n`);
    for (const sentence of sentences) io.stdout.write(`${printable(sentence)}\n`);
  }
  return answer.verdict === 'fired' ? EXIT.ok : EXIT.failure;
}

async function answerFor(
  broker: Broker,
  { queue, uid }: FoundSchedule,
  at: string | undefined,
): Promise<WhyAnswer> {
  const [[state], eras, nowMs] = await Promise.all([
    queue.schedules.states([uid]),
    queue.schedules.eras(uid),
    broker.now(),
  ]);
  const newest = eras.at(-1);
  const timing = newest && eraTiming(newest);
  const atMs =
    at === undefined ? lastSlotOf(timing, nowMs - JUST_NOW_MS) : parseInstant(at, zoneOf(timing?.schedule));
  const decisions = await queue.schedules.decisions(uid, {
    fromMs: atMs,
    toMs: atMs + AROUND_MS,
    limit: 100,
  });
  return why({ state, eras, decisions, atMs, nowMs, timingOf: eraTiming });
}

const runOf = ({ queue, uid }: FoundSchedule, slotMs: number): Promise<RunRecord | undefined> =>
  queue.runs.get(slotRunId(uid, slotMs));

/** What stands in the way of the slot's run, or of the one that it was skipped for, as it is now. */
async function hindrances(
  schedule: FoundSchedule,
  { decision, slotMs }: WhyAnswer,
  run: RunRecord | undefined,
): Promise<readonly string[]> {
  const earlier =
    decision?.reason === 'Overlap' && slotMs !== undefined ? await runBefore(schedule, slotMs) : undefined;
  const sentences =
    earlier === undefined ? [] : [`It was skipped for an earlier run. ${runSentence(earlier)}`];
  const unended = [run, earlier].find((each) => each !== undefined && !isTerminal(each.state));
  if (unended === undefined) return sentences;
  const { tasks, ...state } = await readQueueState(schedule.queue);
  const reasons = reasonsToWait({ ...state, tasks: tasks.filter(({ task }) => task === unended.task) });
  return [...sentences, ...reasons.map((reason) => `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`)];
}

/** The run of the last slot before this one that fired. */
async function runBefore(schedule: FoundSchedule, slotMs: number): Promise<RunRecord | undefined> {
  const log = await schedule.queue.schedules.decisions(schedule.uid, { toMs: slotMs, limit: DECISIONS_READ });
  const fired = log.findLast(({ decision, fromMs }) => decision === 'fired' && fromMs < slotMs);
  return fired === undefined ? undefined : runOf(schedule, Math.min(fired.toMs, slotMs));
}

/** The last slot that the spec in force has had; `nowMs` when there is none. */
function lastSlotOf(timing: EraTiming | undefined, nowMs: number): number {
  return timing?.schedule?.previous(Math.min(nowMs, timing.endMs ?? Infinity)) ?? nowMs;
}

function runSentence({ id, state, attempt, error, cancelReason, startedAtMs, endedAtMs }: RunRecord): string {
  const took =
    startedAtMs === undefined || endedAtMs === undefined ? '' : ` after ${showTook(startedAtMs, endedAtMs)}`;
  const because = error === undefined ? (cancelReason ?? '') : `${error.reason}: ${error.message}`;
  return `Its run ${id} ${isTerminal(state) ? (state === 'cancelled' ? 'was cancelled' : state) : `is ${state}`}${took}${attempt > 1 ? `, at attempt ${attempt}` : ''}${because === '' ? '' : ` (${because})`}.`;
}

function answerJson(
  schedule: string,
  { slotMs, ...answer }: WhyAnswer,
  run: RunRecord | undefined,
): Readonly<Record<string, unknown>> {
  return {
    schedule,
    ...answer,
    ...(slotMs !== undefined && { slot: new Date(slotMs).toISOString() }),
    ...(run !== undefined && {
      run: { id: run.id, state: run.state, attempt: run.attempt, error: run.error },
    }),
  };
}
