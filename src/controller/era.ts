/** What stood in force before: read back from the broker, for slots that nobody decided while no engine ran. */
import { timingOfEra } from '../resource/to-schedule.ts';
import type { Era } from '../task/schedule-state.ts';
import type { Adoption, Entry } from './entry.ts';

/** `undefined`: nothing could be due in that era, or it cannot be read. */
export function adoptionOfEra({ object, definition }: Entry, era: Era | undefined): Adoption | undefined {
  if (era === undefined || era.suspended) return undefined;
  const timing = timingOfEra(era.spec);
  if (timing?.kind !== 'timing') return undefined;
  return {
    uid: object.uid,
    generation: era.generation,
    definition: { ...definition, suspended: false, timing },
  };
}
