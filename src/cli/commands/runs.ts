/** `tidemill runs`: find runs, look at one, cancel or redrive some. */
import type { Command } from 'commander';
import { z } from 'zod';
import { type CancelOutcome, type RunPage, SEARCH_CAP } from '../../broker/broker.ts';
import { compareNewest } from '../../broker/newest-runs.ts';
import { RUN_STATES, type RunRecord } from '../../task/run.ts';
import { changeRuns } from '../change-runs.ts';
import { addCommand, addGroup, type Call, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { findRun, queuesOf, runNotFound, withBroker } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { integerOption, optionalDurationOption } from '../options.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { InspectSettings } from '../settings.ts';
import { runColumns, runDetails, runJson } from '../show-run.ts';
import { table } from '../table.ts';
import { addRedrive } from './runs-redrive.ts';

const ListOptions = z.object({
  state: z
    .array(z.enum(RUN_STATES, { error: `--state must be one of ${RUN_STATES.join(', ')}` }))
    .default([]),
  task: z.string().optional(),
  limit: integerOption('--limit', 20, 1, 1_000),
  since: optionalDurationOption('--since'),
});
const CancelOptions = z.object({ reason: z.string().max(256).default('cancelled from the command line') });
const NoOptions = z.object({});

export function addRuns(program: Command, surroundings: Surroundings): void {
  const runs = addGroup(program, HEADS.runs);

  addList(runs, surroundings);
  addGet(runs, surroundings);
  addCancel(runs, surroundings);
  addRedrive(runs, surroundings);
}

function addList(runs: Command, surroundings: Surroundings): void {
  addCommand(
    runs,
    {
      name: 'ls',
      summary: 'list runs, newest first',
      details: 'The search is bounded: when it did not look at everything, it says so.',
      examples: [
        'tidemill runs ls',
        'tidemill runs ls --state failed --since 1h',
        'tidemill runs ls --state failed --task fetch-data --limit 100 --json',
      ],
      settings: InspectSettings,
      rules: REDIS_RULES,
      flags: [
        {
          flags: '--state <state>',
          help: `only runs in this state (${RUN_STATES.join(', ')}); may be repeated`,
          repeatable: true,
        },
        { flags: '--task <task>', help: 'only runs of this task' },
        {
          flags: '--since <duration>',
          help: 'only runs that ended, or while they have not ended were enqueued, within this time',
        },
        { flags: '--limit <n>', help: 'how many at most, by queue (default: 20)' },
      ],
      options: ListOptions,
      jsonHelp: 'print {"runs": [...], "searched": n, "complete": bool} instead of a table',
      run: list,
    },
    surroundings,
  );
}

function addGet(runs: Command, surroundings: Surroundings): void {
  addCommand(
    runs,
    {
      name: 'get',
      summary: 'show one run with its params, result and error',
      args: [['<run>', 'id of the run']],
      examples: ['tidemill runs get default:5f1c0b6f2a7e4d3c9b8a7f60'],
      settings: InspectSettings,
      rules: REDIS_RULES,
      options: NoOptions,
      jsonHelp: 'print the run as JSON',
      run: async ({ settings, args: [id = ''], json, io }) => {
        const { record, nowMs } = await withBroker({ settings, io }, async (broker) => ({
          record: (await findRun(broker, id, settings.queue))?.record,
          nowMs: await broker.now(),
        }));
        if (record === undefined) throw runNotFound(id);
        if (json) writeJson(io, runJson(record));
        else io.stdout.write(runDetails(record, nowMs));
        return EXIT.ok;
      },
    },
    surroundings,
  );
}

function addCancel(runs: Command, surroundings: Surroundings): void {
  addCommand(
    runs,
    {
      name: 'cancel',
      summary: 'cancel runs: at once while they wait, through their signal while they run',
      args: [['<runs...>', 'ids of the runs']],
      examples: ['tidemill runs cancel default:5f1c0b6f2a7e4d3c9b8a7f60 --reason "wrong month"'],
      settings: InspectSettings,
      rules: REDIS_RULES,
      flags: [{ flags: '--reason <text>', help: 'kept with the run' }],
      options: CancelOptions,
      jsonHelp: 'print {"runs": [{"id", "outcome"}]}',
      run: (call) =>
        changeRuns(call, {
          change: async (broker, queue, id) =>
            (await broker.queue(queue).runs.cancel([id], call.options.reason))[0] ?? 'not-found',
          sentences: CANCELLED,
          good: ['cancelled', 'requested'],
        }),
    },
    surroundings,
  );
}

const CANCELLED: Readonly<Record<CancelOutcome, string>> = {
  cancelled: 'cancelled',
  requested: 'is running: its signal will abort, and it ends as cancelled',
  ended: 'had ended before: nothing was changed',
  'not-found': 'is not known: it never existed, or its record was dropped',
};

async function list({
  settings,
  options,
  json,
  io,
}: Call<typeof InspectSettings, typeof ListOptions>): Promise<ExitCode> {
  const { state, task, limit, since } = options;
  const filter = { limit, ...(state.length > 0 && { states: state }), ...(task !== undefined && { task }) };
  const { pages, nowMs } = await withBroker({ settings, io }, async (broker) => ({
    pages: await Promise.all(
      (await queuesOf(broker, settings.queue)).map(({ inspect }) => inspect.runs(filter)),
    ),
    nowMs: await broker.now(),
  }));
  const all = joined(pages, limit);
  const page = since === undefined ? all : newerThan(all, nowMs - since);
  if (json) writeJson(io, { runs: page.runs.map(runJson), searched: page.searched, complete: page.complete });
  else if (page.runs.length === 0)
    io.stderr.write(`no such run among the ${plural(page.searched, 'record')} looked at\n`);
  else io.stdout.write(table(runColumns(nowMs), page.runs));
  if (!json) io.stderr.write(remark(page, limit));
  return EXIT.ok;
}

/** What the list does not show. */
function remark({ runs, searched, complete }: RunPage, limit: number): string {
  if (complete || runs.length === 0) return '';
  if (runs.length >= limit)
    return `these are the newest ${limit} of ${plural(searched, 'record')} looked at: raise --limit for more\n`;
  return `not everything was looked at (only ${plural(searched, 'record')}): narrow the search\n`;
}

/** What happened to a run last, as far as its place in the list goes. */
const instantOf = ({ endedAtMs, enqueuedAtMs }: RunRecord): number => endedAtMs ?? enqueuedAtMs;

/** Of the newest runs. Where an older one was found among them, the limit has cut off nothing that was asked for. */
function newerThan(page: RunPage, sinceMs: number): RunPage {
  const runs = page.runs.filter((run) => instantOf(run) >= sinceMs);
  const isCutByLimitOnly = runs.length < page.runs.length && page.searched < SEARCH_CAP;
  return { ...page, runs, complete: page.complete || isCutByLimitOnly };
}

/** The newest of several queues. */
function joined(pages: readonly RunPage[], limit: number): RunPage {
  const runs = pages.flatMap((page) => page.runs).sort(compareNewest);
  return {
    runs: runs.slice(0, limit),
    searched: pages.reduce((sum, { searched }) => sum + searched, 0),
    complete: pages.every(({ complete }) => complete) && runs.length <= limit,
  };
}
