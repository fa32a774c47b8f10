/** `tidemill schedules export`: the schedules in code as objects for a cluster. */
import type { Command } from 'commander';
import { z } from 'zod';
import { addCommand, type Surroundings } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { writeJson } from '../output.ts';
import { ExportSettings } from '../settings.ts';
import { loadTaskSet } from '../worker.ts';

export function addSchedulesExport(parent: Command, surroundings: Surroundings): void {
  addCommand(
    parent,
    {
      name: 'export',
      summary: 'print the schedules in code as ScheduledTask YAML',
      details:
        'In a cluster the objects are the only truth: export once, then keep them in Git and apply them.',
      examples: ['tidemill schedules export --tasks src/tasks.ts > schedules/from-code.yaml'],
      settings: ExportSettings,
      flags: [
        {
          flags: '--in <namespace>',
          help: 'write this namespace into the objects; else whoever applies them decides',
        },
      ],
      options: z.object({ in: z.string().optional() }),
      jsonHelp: 'print {"items": [...]} instead of YAML',
      run: async ({ settings, options, json, io }) => {
        const { exportSchedules, renderSchedules } = await import('../../resource/export.ts');
        const { registry } = await loadTaskSet(settings.tasks, io);
        const objects = exportSchedules(registry.all(), options.in);
        if (json) writeJson(io, { items: objects });
        else if (objects.length === 0) io.stderr.write('no task has a schedule in code\n');
        else io.stdout.write(renderSchedules(objects));
        return EXIT.ok;
      },
    },
    surroundings,
  );
}
