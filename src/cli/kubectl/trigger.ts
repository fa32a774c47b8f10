/** `kubectl tidemill trigger`: asks the controller for one run now, by annotation. */
import type { Command } from 'commander';
import { z } from 'zod';
import { isRequestId, REQUEST_ID_RULE } from '../../controller/run-now.ts';
import { echoOfStatus, isFinal } from '../../controller/trigger.ts';
import type { ScheduledTask, ScheduledTaskStatus } from '../../resource/scheduled-task.ts';
import { RUN_NOW, RUN_NOW_PARAMS } from '../../resource/trigger-annotations.ts';
import { newIncarnation } from '../../task/ids.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { printable } from '../format.ts';
import { PluginSettings } from '../kube-settings.ts';
import { durationOption } from '../options.ts';
import { writeJson } from '../output.ts';
import { paramsFrom } from '../run-params.ts';
import { type Objects, withObjects } from './objects.ts';

const TriggerOptions = z.object({
  params: z.string().optional(),
  param: z.array(z.string()).default([]),
  id: z.string().refine(isRequestId, `--id ${REQUEST_ID_RULE}`).optional(),
  wait: z.boolean().default(false),
  timeout: durationOption('--timeout', '60s'),
});

type Trigger = NonNullable<ScheduledTaskStatus['lastTrigger']>;
const GOOD_AT_ONCE = new Set(['Enqueued', 'Running', 'Succeeded']);

/** A controller acts on an annotation within a second or two; a takeover takes up to 25 s. */
const ANSWER_WITHIN_MS = 30_000;

export function addTrigger(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      name: 'trigger',
      summary: 'run the task of a schedule now',
      details:
        'Suspension does not hold it up, the concurrency policy does. Without params the run gets those of the object.\n' +
        'The same by hand: annotate the object with tidemill.dev/run-now=<any new value>.',
      args: [['<name>', 'name of the ScheduledTask']],
      examples: [
        'kubectl tidemill trigger nightly-report -n reports --wait',
        'kubectl tidemill trigger nightly-report -p day=2026-11-23',
      ],
      settings: PluginSettings,
      flags: [
        { flags: '--params <json>', help: 'params of this run, instead of those of the object' },
        { flags: '-p, --param <key=value>', help: 'one of the params; may be repeated', repeatable: true },
        { flags: '--id <id>', help: 'id of the request (default: a new one); the same id never runs twice' },
        { flags: '--wait', help: 'wait for the end of the run' },
        { flags: '--timeout <duration>', help: 'how long to wait for it (default: 60s)' },
      ],
      options: TriggerOptions,
      jsonHelp: 'print {"request", "state", "runId", "message"}',
      run: runTrigger,
    },
    surroundings,
  );
}

async function runTrigger({
  settings,
  options,
  args: [name = ''],
  json,
  io,
}: Call<typeof PluginSettings, typeof TriggerOptions>): Promise<ExitCode> {
  const request = options.id ?? `kubectl-${newIncarnation().slice(0, 16)}`;
  const hasParams = options.params !== undefined || options.param.length > 0;
  const params = hasParams ? paramsFrom(options.params, options.param, undefined) : undefined;
  const followed = await withObjects(settings, io, async (objects) => {
    // Both in one patch: the controller must not see the one without the other.
    await objects.patch(name, {
      metadata: {
        annotations: {
          [RUN_NOW]: request,
          [RUN_NOW_PARAMS]: params === undefined ? null : JSON.stringify(params),
        },
      },
    });
    const first = await follow(objects, name, request, ANSWER_WITHIN_MS, false);
    if (first.trigger === undefined || !options.wait) return first;
    return { ...first, ...(await follow(objects, name, request, options.timeout, true)) };
  });
  if (json)
    writeJson(io, followed.trigger ?? { request, state: followed.isDisplaced ? 'Unknown' : 'Requested' });
  else io.stdout.write(`${printable(sentence(name, request, followed))}\n`);
  return exitOf(followed.trigger, options.wait);
}

interface Followed {
  /** The newest echo of the request that was seen. */
  readonly trigger?: Trigger;
  /** Another request stands in the object by now: the status tells of this one no more. */
  readonly isDisplaced: boolean;
}

/** Until the request is echoed; with `toEnd`, until the echo will not change any more. */
async function follow(
  objects: Objects,
  name: string,
  request: string,
  waitMs: number,
  toEnd: boolean,
): Promise<Followed> {
  let trigger: Trigger | undefined;
  const last = await objects.waitFor(name, waitMs, (object) => {
    const answer = answerTo(object, request);
    if (answer === 'waiting' || answer === 'displaced') return answer === 'displaced' ? answer : undefined;
    trigger = answer;
    const echo = echoOfStatus(object.status);
    return !toEnd || (echo !== undefined && isFinal(echo)) ? 'echoed' : undefined;
  });
  return { ...(trigger !== undefined && { trigger }), isDisplaced: last === 'displaced' };
}

/** What an object tells of a request: there is room for one, in the annotation as in the status. */
export function answerTo(
  { metadata, status }: Pick<ScheduledTask, 'metadata' | 'status'>,
  request: string,
): Trigger | 'waiting' | 'displaced' {
  const echo = status?.lastTrigger;
  if (echo?.request === request) return echo;
  return metadata.annotations?.[RUN_NOW] === request ? 'waiting' : 'displaced';
}

function sentence(name: string, request: string, { trigger, isDisplaced }: Followed): string {
  if (trigger === undefined)
    return isDisplaced
      ? `another request took the place of ${request} on ${name} before this one was answered: its events tell what became of both`
      : `no controller has acted on request ${request} of ${name} yet: it stays asked for, in the annotation ${RUN_NOW}`;
  const run = trigger.runId === undefined ? '' : ` (run ${trigger.runId})`;
  const why = trigger.message === undefined ? '' : `: ${trigger.message}`;
  const displaced = isDisplaced ? '; another request has taken its place in the status' : '';
  return `${name}: ${trigger.state ?? 'unknown'}${run}${why}${displaced}`;
}

function exitOf(trigger: Trigger | undefined, wait: boolean): ExitCode {
  const state = trigger?.state ?? '';
  return (wait ? state === 'Succeeded' : GOOD_AT_ONCE.has(state)) ? EXIT.ok : EXIT.failure;
}
