/** `tidemill schedules trigger`: asks whoever fires a schedule for a run of it now, and tells what became of the request. */
import type { Command } from 'commander';
import { z } from 'zod';
import { MAILBOX_CAP } from '../../broker/broker.ts';
import { isRequestId, REQUEST_ID_RULE, REQUEST_KEPT_MS } from '../../controller/run-now.ts';
import { type Problem, ProblemsError, TidemillError } from '../../runtime/errors.ts';
import { newIncarnation, triggerRunId } from '../../task/ids.ts';
import { encodeParamsUnchecked } from '../../task/params.ts';
import type { DecisionRecord } from '../../task/schedule-state.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { withBroker } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type FoundSchedule, findSchedule, nameOf } from '../find-schedule.ts';
import { printable, showDuration } from '../format.ts';
import { type Io, styled } from '../io.ts';
import { durationOption } from '../options.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { endOf, reportEnd } from '../run-end.ts';
import { checkParams, paramsFrom } from '../run-params.ts';
import { WhySettings } from '../settings.ts';
import { REASONS } from '../why.ts';

const TriggerOptions = z.object({
  param: z.array(z.string()).default([]),
  params: z.string().optional(),
  id: z.string().optional(),
  wait: z.boolean().default(false),
  timeout: durationOption('--timeout', '1m'),
});
type TriggerCall = Call<typeof WhySettings, typeof TriggerOptions>;

/** An engine looks once a second, and a successor of one that died takes over within 25 s. */
const DECIDED_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 200;
/** All decisions that are kept. */
const DECISIONS_SEARCHED = 1_000;

export function addSchedulesTrigger(parent: Command, surroundings: Surroundings): void {
  addCommand(
    parent,
    {
      name: 'trigger',
      summary: 'run a schedule now, outside its slots',
      details:
        'The scheduler or controller that fires the schedule makes the run within a second or two (no answer for 30 s is an error), with the task, timeout, retry and priority of the object,\n' +
        'and by its concurrencyPolicy. A suspended schedule runs as well. The exit code is 1 when no run was made, or with --wait when it did not succeed.',
      args: [['<schedule>', 'name, or namespace/name']],
      examples: [
        'tidemill schedules trigger nightly-report --wait',
        'tidemill schedules trigger team-a/nightly-report -p day=2026-03-01 --id march-first',
      ],
      settings: WhySettings,
      rules: REDIS_RULES,
      flags: [
        {
          flags: '-p, --param <key=value>',
          help: 'one param, in place of all those of the object; may be repeated',
          repeatable: true,
        },
        {
          flags: '--params <json>',
          help: 'params as a JSON object, in place of those of the object; -p overrides single ones',
        },
        { flags: '--id <id>', help: 'id of the request: asking again with the same one makes no second run' },
        { flags: '--wait', help: 'wait until the run has ended; exit code 1 when it did not succeed' },
        { flags: '--timeout <duration>', help: 'how long --wait waits for the end of the run (default: 1m)' },
      ],
      options: TriggerOptions,
      jsonHelp: 'print {"schedule", "request", "decision", "reason", "run"}, and with --wait the whole run',
      run: runTrigger,
    },
    surroundings,
  );
}

async function runTrigger(call: TriggerCall): Promise<ExitCode> {
  const { settings, options, args, json, io } = call;
  const request = options.id ?? newIncarnation();
  if (!isRequestId(request))
    throw new TidemillError(
      'REQUEST_INVALID',
      `--id ${JSON.stringify(request.slice(0, 80))} ${REQUEST_ID_RULE}`,
    );
  const params = ownParams(options);
  return withBroker({ settings, io }, async (broker) => {
    const schedule = await findSchedule(broker, settings.install, settings.namespace, args[0] ?? '');
    await ask(schedule, request, params);
    const decision = await decided(schedule, settings.install, request, io);
    const runId = triggerRunId(schedule.uid, request);
    if (decision?.decision !== 'fired') {
      const fields = decision?.reason === 'InvalidParams' ? await unfitFields(schedule, params) : [];
      return reportRefusal(call, schedule, request, { decision, fields });
    }
    if (options.wait) {
      if (!json) io.stderr.write(`${runId} fired, waiting for its end\n`);
      return reportEnd(io, json, await endOf(schedule.queue, runId, options.timeout));
    }
    if (json) writeJson(io, { ...answerOf(schedule, request, decision), run: runId });
    else io.stdout.write(`${runId} fired\n`);
    return EXIT.ok;
  });
}

/** JSON text; `undefined`: those of the object. */
function ownParams({ params, param }: z.output<typeof TriggerOptions>): string | undefined {
  if (params === undefined && param.length === 0) return undefined;
  return encodeParamsUnchecked(paramsFrom(params, param, undefined));
}

async function ask(schedule: FoundSchedule, request: string, params: string | undefined): Promise<void> {
  const { queue, uid } = schedule;
  const outcome = await queue.schedules.request(uid, { request, ...(params !== undefined && { params }) });
  if (outcome === 'unknown') throw gone(schedule);
  if (outcome === 'full')
    throw new TidemillError(
      'QUEUE_FULL',
      `queue ${queue.name} holds as many requests as it may, and nobody reads them: start the scheduler or controller that fires ${nameOf(schedule)}`,
    );
}

/**
 * What was decided, by whoever; `undefined` for a request that was handled so long ago that the log has lost it, or that
 * stood in the object when it was first seen.
 * @throws TidemillError REQUEST_PENDING, SCHEDULE_UNKNOWN
 */
async function decided(
  schedule: FoundSchedule,
  install: string,
  request: string,
  { clock }: Io,
): Promise<DecisionRecord | undefined> {
  const { queue, uid } = schedule;
  const untilMs = clock.monotonic() + DECIDED_WITHIN_MS;
  for (;;) {
    // In this order: what is decided leaves the mailbox and enters the log in one step.
    const waiting = await queue.schedules.requested(install, MAILBOX_CAP);
    const log = await queue.schedules.decisions(uid, { limit: DECISIONS_SEARCHED });
    const found = log.findLast((record) => record.request === request);
    if (found !== undefined) return found;
    if (!waiting.some((asked) => asked.uid === uid && asked.request === request)) {
      const [state] = await queue.schedules.states([uid]);
      if (state === undefined || state.withdrawn) throw gone(schedule);
      return undefined;
    }
    if (clock.monotonic() >= untilMs) throw pending(schedule, request);
    await clock.sleep(LOOK_EVERY_MS);
  }
}

/**
 * Which of the given params do not fit, as the consumers have published the schema. The decision has only its reason, and the
 * task stands in no record of a schedule but in those of its runs: without one, or for the params of the object, this is empty.
 */
async function unfitFields(
  { queue: { inspect }, uid }: FoundSchedule,
  params: string | undefined,
): Promise<readonly Problem[]> {
  if (params === undefined) return [];
  const [newest] = (await inspect.runs({ scheduleUid: uid, limit: 1 })).runs;
  if (newest === undefined) return [];
  const manifests = await inspect.manifests();
  const versions = manifests
    .filter(({ live }) => live)
    .flatMap(({ manifest }) => manifest.tasks.filter(({ name }) => name === newest.task));
  try {
    checkParams(newest.task, paramsFrom(params, [], undefined), versions);
    return [];
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems;
    throw error;
  }
}

function reportRefusal(
  { json, io }: TriggerCall,
  schedule: FoundSchedule,
  request: string,
  {
    decision,
    fields,
  }: { readonly decision: DecisionRecord | undefined; readonly fields: readonly Problem[] },
): ExitCode {
  if (json) {
    const answer = answerOf(schedule, request, decision);
    writeJson(io, fields.length === 0 ? answer : { ...answer, problems: fields });
  } else {
    const verdict = styled(io, 'yellow', decision?.decision ?? 'handled before');
    io.stdout.write(
      `${nameOf(schedule)}: request ${request} ${verdict}: ${printable(whyNot(decision, fields))}\n`,
    );
  }
  return EXIT.failure;
}

/** As the end of a sentence. */
function whyNot(decision: DecisionRecord | undefined, fields: readonly Problem[]): string {
  if (decision === undefined) return 'what became of it is no longer recorded; no run was made now';
  const { reason } = decision;
  if (reason === undefined) return 'no reason was recorded';
  if (reason === 'InvalidParams') {
    const where =
      fields.length === 0
        ? 'the log of the scheduler or controller, and the events of the object, name the field'
        : fields.map(({ at, message }) => `${at}: ${message}`).join('; ');
    return `${REASONS[reason]} (${reason}): ${where}`;
  }
  return reason === 'DeadlineExceeded'
    ? `nobody read it within ${showDuration(REQUEST_KEPT_MS)} (${reason})`
    : `${REASONS[reason]} (${reason})`;
}

function answerOf(schedule: FoundSchedule, request: string, decision: DecisionRecord | undefined) {
  const { decision: made, reason } = decision ?? {};
  return {
    ...{ schedule: nameOf(schedule), request, decision: made ?? 'handled-before' },
    ...(reason !== undefined && { reason }),
  };
}

const gone = (schedule: FoundSchedule): TidemillError =>
  new TidemillError(
    'SCHEDULE_UNKNOWN',
    `schedule ${nameOf(schedule)} was deleted: nothing of it runs any more`,
  );

const pending = (schedule: FoundSchedule, request: string): TidemillError =>
  new TidemillError(
    'REQUEST_PENDING',
    `request ${request} waits in queue ${schedule.queue.name}, and no scheduler or controller has read it within ${showDuration(DECIDED_WITHIN_MS)}: ` +
      `is the one that fires ${nameOf(schedule)} up? The request stays for ${showDuration(REQUEST_KEPT_MS)} and is then given up; ` +
      `ask again with --id ${request} to see what became of it`,
  );
