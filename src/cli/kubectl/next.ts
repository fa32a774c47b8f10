/** `kubectl tidemill next`: when an object fires next, and what the changes of the clocks do to it. */
import type { Command } from 'commander';
import { z } from 'zod';
import { addCommand, type Surroundings } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { PluginSettings } from '../kube-settings.ts';
import { integerOption } from '../options.ts';
import { itemOfSpec, showNext } from '../show-next.ts';
import { withObjects } from './objects.ts';

export function addNext(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      name: 'next',
      summary: 'show when a schedule fires next, and what the changes of the clocks do to it',
      args: [['<name>', 'name of the ScheduledTask']],
      examples: ['kubectl tidemill next nightly-report -n reports --count 10'],
      settings: PluginSettings,
      flags: [
        { flags: '--count <n>', help: 'how many slots (default: 5)' },
        { flags: '--from <time>', help: 'slots after this time, not after now' },
      ],
      options: z.object({ count: integerOption('--count', 5, 1, 1_000), from: z.string().optional() }),
      jsonHelp: 'print {"schedules": [{"name", "timing", "zone", "slots", "hazards"}]}',
      run: async ({ settings, options, args: [name = ''], json, io }) => {
        const item = await withObjects(settings, io, async (objects) =>
          itemOfSpec(`${objects.namespace}/${name}`, (await objects.read(name)).spec),
        );
        showNext([item], { fromText: options.from, count: options.count, json }, io);
        return EXIT.ok;
      },
    },
    surroundings,
  );
}
