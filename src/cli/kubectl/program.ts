/** `kubectl tidemill`: for people who reach the cluster, but not Redis. kubectl finds the binary by its name. */
import type { Command } from 'commander';
import type { Surroundings } from '../command.ts';
import { newProgram, runProcess } from '../main.ts';
import { addNext } from './next.ts';
import { addSwitch } from './switch.ts';
import { addTrigger } from './trigger.ts';
import { addWhy } from './why.ts';

const VERBS = [addTrigger, addSwitch, addNext, addWhy] as const;

export function createPlugin(surroundings: Surroundings): Command {
  const program = newProgram(surroundings.io, {
    name: 'kubectl tidemill',
    description: 'Look at and steer ScheduledTask objects; needs the rights to get and patch them.',
    example: 'kubectl tidemill why nightly-report -n reports',
  });
  for (const add of VERBS) add(program, surroundings);
  return program;
}

/** What `bin/kubectl-tidemill.js` calls. Ends the process. */
export const runPlugin = (): Promise<void> => runProcess(createPlugin);
