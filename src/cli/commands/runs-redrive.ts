/** `tidemill runs redrive`: failed runs back into their queue, by id, or many by what they have in common. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { Broker, Queue, RedriveOutcome } from '../../broker/broker.ts';
import { TidemillError } from '../../runtime/errors.ts';
import { changeRuns } from '../change-runs.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { queuesOf, withBroker } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { integerOption } from '../options.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { InspectSettings } from '../settings.ts';

const RedriveOptions = z.object({
  state: z.literal('failed', { error: '--state must be failed: no other runs can be redriven' }).optional(),
  task: z.string().optional(),
  limit: integerOption('--limit', 1_000, 1, 10_000),
});
type RedriveCall = Call<typeof InspectSettings, typeof RedriveOptions>;

/** Redriven in one transition: Redis serves others in between. */
const RUNS_PER_CALL = 100;

const SENTENCES: Readonly<Record<RedriveOutcome, string>> = {
  redriven: 'is pending again',
  'not-failed': 'has not failed: nothing was changed',
  'not-found': 'is not known: it never existed, or its record was dropped',
};

export function addRedrive(runs: Command, surroundings: Surroundings): void {
  addCommand(
    runs,
    {
      name: 'redrive',
      summary: 'put failed runs back into their queue, with all their attempts',
      details: 'Name the runs, or say --state failed for the newest of all that have failed, by queue.',
      args: [['[runs...]', 'ids of the runs']],
      examples: [
        'tidemill runs redrive default:5f1c0b6f2a7e4d3c9b8a7f60',
        'tidemill runs redrive --state failed --task fetch-data --limit 500',
      ],
      settings: InspectSettings,
      rules: REDIS_RULES,
      flags: [
        { flags: '--state <state>', help: 'failed: all runs that have failed, without naming them' },
        { flags: '--task <task>', help: 'with --state: only runs of this task' },
        { flags: '--limit <n>', help: 'with --state: how many at most (default: 1000)' },
      ],
      options: RedriveOptions,
      jsonHelp:
        'print {"runs": [{"id", "outcome"}]}; with --state {"redriven": n, "unchanged": n, "complete": bool}',
      run: redrive,
    },
    surroundings,
  );
}

async function redrive(call: RedriveCall): Promise<ExitCode> {
  const { args, options } = call;
  if (options.state !== undefined && args.length > 0)
    throw new TidemillError('USAGE', 'name the runs, or say --state failed, not both');
  if (options.state !== undefined) return redriveFailed(call);
  if (args.length === 0) throw new TidemillError('USAGE', 'name the runs to redrive, or say --state failed');
  if (options.task !== undefined) throw new TidemillError('USAGE', '--task goes with --state failed only');
  return changeRuns(call, {
    change: async (broker, queue, id) => (await broker.queue(queue).runs.redrive([id]))[0] ?? 'not-found',
    sentences: SENTENCES,
    good: ['redriven'],
  });
}

interface Redriven {
  readonly redriven: number;
  /** Somebody else had redriven or dropped them meanwhile. */
  readonly unchanged: number;
  /** Whether no failed run is left that was not looked at. */
  readonly complete: boolean;
}

async function redriveFailed({ settings, options, json, io }: RedriveCall): Promise<ExitCode> {
  const total = await withBroker({ settings, io }, (broker) => redriveAll(broker, settings.queue, options));
  if (json) writeJson(io, total);
  else {
    io.stdout.write(`${plural(total.redriven, 'run')} pending again\n`);
    if (total.unchanged > 0)
      io.stderr.write(`${plural(total.unchanged, 'run')} had been redriven or dropped meanwhile\n`);
    if (!total.complete) io.stderr.write('there may be more: say it again, or raise --limit\n');
  }
  return EXIT.ok;
}

async function redriveAll(
  broker: Broker,
  queue: string | undefined,
  options: { readonly task?: string | undefined; readonly limit: number },
): Promise<Redriven> {
  const total = { redriven: 0, unchanged: 0, complete: true };
  for (const each of await queuesOf(broker, queue)) {
    const left = options.limit - total.redriven - total.unchanged;
    // Without a search nothing is known of this queue.
    const { redriven, unchanged, complete } =
      left > 0
        ? await redriveIn(each, { ...options, limit: left })
        : { redriven: 0, unchanged: 0, complete: false };
    total.redriven += redriven;
    total.unchanged += unchanged;
    total.complete &&= complete;
  }
  return total;
}

/** All are found before the first is redriven: one that fails again at once must not be taken for another. */
async function redriveIn(
  { runs, inspect }: Queue,
  { task, limit }: { readonly task?: string | undefined; readonly limit: number },
): Promise<Redriven> {
  const page = await inspect.runs({ states: ['failed'], limit, ...(task !== undefined && { task }) });
  const ids = [...new Set(page.runs.map(({ id }) => id))];
  let redriven = 0;
  for (let from = 0; from < ids.length; from += RUNS_PER_CALL) {
    const outcomes = await runs.redrive(ids.slice(from, from + RUNS_PER_CALL));
    redriven += outcomes.filter((outcome) => outcome === 'redriven').length;
  }
  return { redriven, unchanged: ids.length - redriven, complete: page.complete };
}
