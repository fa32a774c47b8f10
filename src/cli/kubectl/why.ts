/** `kubectl tidemill why`: why a schedule did or did not run, as far as its object tells. */
import type { Command } from 'commander';
import { z } from 'zod';
import { timingOf } from '../../resource/to-schedule.ts';
import { addCommand, type Surroundings } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { printable } from '../format.ts';
import { PluginSettings } from '../kube-settings.ts';
import { writeJson } from '../output.ts';
import { parseInstant, zoneOf } from '../show-timing.ts';
import { withObjects } from './objects.ts';
import { slotAnswer, stateAnswer } from './why-status.ts';

export function addWhy(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      name: 'why',
      summary: 'say why a schedule ran, or why it did not, from the status of its object',
      details:
        'Without --at: the state of the schedule and its newest decisions. The status keeps only those; the whole record is in Redis,\n' +
        'where `tidemill schedules why` reads it. With --at the exit code is 0 when that slot fired, and 1 when it did not or is not known.',
      args: [['<name>', 'name of the ScheduledTask']],
      examples: [
        'kubectl tidemill why nightly-report -n reports',
        'kubectl tidemill why nightly-report --at 2026-03-29T02:30',
      ],
      settings: PluginSettings,
      flags: [
        {
          flags: '--at <time>',
          help: 'the slot that is asked about; without an offset, in the zone of the schedule',
        },
      ],
      options: z.object({ at: z.string().optional() }),
      jsonHelp: 'print {"namespace", "name", "verdict", "sentences", "status"}',
      run: async ({ settings, options, args: [name = ''], json, io }) => {
        const { namespace, object } = await withObjects(settings, io, async (objects) => ({
          namespace: objects.namespace,
          object: await objects.read(name),
        }));
        const nowMs = io.clock.now();
        const timing = timingOf(object.spec);
        const zone = zoneOf(timing.kind === 'timing' ? timing.schedule : undefined);
        const { verdict, sentences } =
          options.at === undefined
            ? stateAnswer(object, nowMs)
            : slotAnswer(object, parseInstant(options.at, zone), nowMs);
        if (json) writeJson(io, { namespace, name, verdict, sentences, status: object.status ?? null });
        else {
          io.stdout.write(`${namespace}/${name}\n`);
          for (const sentence of sentences) io.stdout.write(`${printable(sentence)}\n`);
        }
        return verdict === 'fired' || verdict === 'state' ? EXIT.ok : EXIT.failure;
      },
    },
    surroundings,
  );
}
