/** `kubectl tidemill suspend` and `resume`: sets `spec.suspend` of one object. */
import type { Command } from 'commander';
import { z } from 'zod';
import { addCommand, type Surroundings } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { PluginSettings } from '../kube-settings.ts';
import { writeJson } from '../output.ts';
import { withObjects } from './objects.ts';

const VERBS = [
  { name: 'suspend', suspend: true, summary: 'keep a schedule from firing until it is resumed' },
  { name: 'resume', suspend: false, summary: 'let a suspended schedule fire again' },
] as const;

export function addSwitch(program: Command, surroundings: Surroundings): void {
  for (const { name: verb, suspend, summary } of VERBS) {
    addCommand(
      program,
      {
        name: verb,
        summary,
        details: suspend
          ? 'Runs that were made already go on. Slots that pass meanwhile are not made up for.'
          : 'Nothing fires for the slots that passed meanwhile.',
        args: [['<name>', 'name of the ScheduledTask']],
        examples: [`kubectl tidemill ${verb} nightly-report -n reports`],
        settings: PluginSettings,
        options: z.object({}),
        jsonHelp: 'print {"namespace", "name", "suspend", "changed"}',
        run: async ({ settings, args: [name = ''], json, io }) => {
          const { namespace, changed } = await withObjects(settings, io, async (objects) => {
            const { spec } = await objects.read(name);
            if (spec.suspend !== suspend) await objects.patch(name, { spec: { suspend } });
            return { namespace: objects.namespace, changed: spec.suspend !== suspend };
          });
          if (json) writeJson(io, { namespace, name, suspend, changed });
          else io.stdout.write(`${namespace}/${name} ${sentence(suspend, changed)}\n`);
          return EXIT.ok;
        },
      },
      surroundings,
    );
  }
}

function sentence(suspend: boolean, changed: boolean): string {
  const state = suspend ? 'suspended' : 'active';
  return changed ? `is ${state} now: the controller takes it in within a second` : `was ${state} already`;
}
