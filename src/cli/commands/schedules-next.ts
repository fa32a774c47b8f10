/** `tidemill schedules next`: when schedules fire, in their zone and in UTC, and where the clocks will bend them. */
import type { Command } from 'commander';
import { z } from 'zod';
import { TidemillError } from '../../runtime/errors.ts';
import { cron } from '../../schedule/cron.ts';
import { every } from '../../schedule/every.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { requireRedis, withBroker } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { nameOf, schedulesInForce } from '../find-schedule.ts';
import { readManifests } from '../manifests.ts';
import { integerOption } from '../options.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { NextSettings } from '../settings.ts';
import { itemOfSpec, type NextItem, showNext } from '../show-next.ts';
import { showSpec } from '../show-timing.ts';

const NextOptions = z.object({
  cron: z.string().optional(),
  every: z.string().optional(),
  timeZone: z.string().optional(),
  offset: z.string().optional(),
  name: z.string().optional(),
  count: integerOption('--count', 5, 1, 1_000),
  from: z.string().optional(),
});
type NextCall = Call<typeof NextSettings, typeof NextOptions>;

export function addSchedulesNext(parent: Command, surroundings: Surroundings): void {
  addCommand(
    parent,
    {
      name: 'next',
      summary: 'show when schedules fire next, and what the changes of the clocks do to them',
      details:
        'Of manifests, of an expression (--cron, --every), or, without either, of what is in force in Redis.\n' +
        'Slots are shown in the zone of the schedule and in UTC; the hazards of the coming year are named below them.',
      args: [['[manifests...]', 'YAML files, or folders of them']],
      examples: [
        'tidemill schedules next schedules/',
        'tidemill schedules next --cron "30 2 * * *" --time-zone Europe/Berlin --count 10',
        'tidemill schedules next --name nightly-report --redis redis://localhost:6379',
      ],
      settings: NextSettings,
      rules: REDIS_RULES,
      flags: [
        {
          flags: '--cron <expression>',
          help: 'a cron expression of five fields, or a nickname such as @daily',
        },
        { flags: '--time-zone <zone>', help: 'its IANA time zone (default: Etc/UTC)' },
        { flags: '--every <duration>', help: 'an interval' },
        { flags: '--offset <duration>', help: 'its offset from the epoch' },
        { flags: '--name <schedule>', help: 'only the schedule of this name, or namespace/name' },
        { flags: '--count <n>', help: 'how many slots of each (default: 5)' },
        { flags: '--from <time>', help: 'slots after this time, not after now' },
      ],
      options: NextOptions,
      jsonHelp: 'print {"schedules": [{"name", "timing", "zone", "slots", "hazards"}]}',
      run: runNext,
    },
    surroundings,
  );
}

async function runNext(call: NextCall): Promise<ExitCode> {
  const { options, json, io } = call;
  const items = (await itemsOf(call)).filter(
    ({ name }) => options.name === undefined || name === options.name || name.endsWith(`/${options.name}`),
  );
  if (items.length === 0) {
    io.stderr.write(
      options.name === undefined ? 'there is no schedule\n' : `no schedule is named ${options.name}\n`,
    );
    return EXIT.failure;
  }
  showNext(items, { fromText: options.from, count: options.count, json }, io);
  return EXIT.ok;
}

async function itemsOf(call: NextCall): Promise<readonly NextItem[]> {
  const { args, options, settings, io } = call;
  if (options.cron !== undefined || options.every !== undefined) return [expressionItem(call)];
  if (args.length === 0) return itemsInForce(call);
  return (await readManifests(args, io, { defaultNamespace: settings.namespace })).map((object) => {
    const { namespace, name, spec } = object;
    return itemOfSpec(`${namespace}/${name}`, spec);
  });
}

function expressionItem({ args, options }: NextCall): NextItem {
  if (args.length > 0)
    throw new TidemillError('USAGE', 'manifests cannot be given together with --cron or --every');
  if (options.cron !== undefined && options.every !== undefined)
    throw new TidemillError('USAGE', '--cron and --every cannot be given together');
  const schedule =
    options.cron === undefined
      ? every(options.every ?? '', options.offset === undefined ? {} : { offset: options.offset })
      : cron(options.cron, options.timeZone === undefined ? {} : { timeZone: options.timeZone });
  return { name: 'given', text: showSpec(schedule.spec), schedule, window: {}, suspended: false };
}

async function itemsInForce({ settings, io }: NextCall): Promise<readonly NextItem[]> {
  return withBroker(
    { settings: requireRedis(settings, 'name manifests, or an expression'), io },
    async (broker) => {
      const { schedules } = await schedulesInForce(broker, settings.install);
      return schedules.flatMap(({ timing, state: { suspended }, ...schedule }) =>
        timing === undefined
          ? []
          : [
              {
                name: nameOf(schedule),
                text: timing.text,
                schedule: timing.schedule,
                window: timing,
                suspended,
              },
            ],
      );
    },
  );
}
