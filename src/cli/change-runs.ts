/** Changes the runs whose ids were given, one after the other, and tells what became of each. */
import type { z } from 'zod';
import type { Broker } from '../broker/broker.ts';
import type { Call } from './command.ts';
import { findRun, withBroker } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { writeJson } from './output.ts';
import type { InspectSettings } from './settings.ts';

export interface Change<O extends string> {
  readonly change: (broker: Broker, queue: string, id: string) => Promise<O | 'not-found'>;
  readonly sentences: Readonly<Record<O | 'not-found', string>>;
  /** Outcomes that are what the user wanted. */
  readonly good: readonly (O | 'not-found')[];
}

/** Exit code 1 when one of the runs could not be changed. */
export async function changeRuns<O extends string>(
  {
    settings,
    args,
    json,
    io,
  }: Pick<Call<typeof InspectSettings, z.ZodObject>, 'settings' | 'args' | 'json' | 'io'>,
  { change, sentences, good }: Change<O>,
): Promise<ExitCode> {
  const outcomes = await withBroker({ settings, io }, async (broker) => {
    const found: { readonly id: string; readonly outcome: O | 'not-found' }[] = [];
    for (const id of args) {
      const run = await findRun(broker, id, settings.queue);
      found.push({ id, outcome: run === undefined ? 'not-found' : await change(broker, run.queue.name, id) });
    }
    return found;
  });
  if (json) writeJson(io, { runs: outcomes });
  else for (const { id, outcome } of outcomes) io.stdout.write(`${id} ${sentences[outcome]}\n`);
  return outcomes.every(({ outcome }) => good.includes(outcome)) ? EXIT.ok : EXIT.failure;
}
