/** `tidemill dev`: schedules, queue and tasks in one process, with what happens on the screen. */
import type { Command } from 'commander';
import { addCommand, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { DevOptions } from '../dev/call.ts';
import { startDev } from '../dev/start.ts';
import type { ExitCode } from '../exit-codes.ts';
import { CHILD_RULES } from '../child-settings.ts';
import { DevSettings } from '../settings.ts';

export function addDev(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.dev,
      details:
        'Schedules come from the manifests and from code; the queue is in memory; CPU-bound tasks run in real child processes.\n' +
        'Changed manifests are in force at once; when the tasks change, the process starts itself anew. Ctrl-C prints a summary.',
      examples: [
        'tidemill dev schedules/ --tasks src/tasks.ts',
        'tidemill dev --tasks src/tasks.ts --json | jq .event',
      ],
      settings: DevSettings,
      rules: CHILD_RULES,
      flags: [{ flags: '--no-watch', help: 'do not start anew when the tasks change' }],
      options: DevOptions,
      jsonHelp: 'print each event, and each line of the log, as one JSON object',
      run: (call): Promise<ExitCode> => startDev(call),
    },
    surroundings,
  );
}
