/** Finds the newest runs of a queue in memory, by the rule of `RunFilter`. */
import { scheduleUidOfRunId } from '../../task/ids.ts';
import { RUN_STATES, type RunRecord } from '../../task/run.ts';
import { type RunFilter, type RunPage, SEARCH_CAP } from '../broker.ts';
import { NewestRuns } from '../newest-runs.ts';
import type { QueueState } from './queue-state.ts';
import { recordOf, type Run } from './run.ts';

/** One list that runs stand in. */
interface Place {
  readonly runs: Iterable<Run>;
  /** Newest first, so that it can be left as soon as enough are found. */
  readonly inOrder: boolean;
  /** Its part of what may be looked at; those of one kind add up to 1. */
  readonly weight: number;
}

export function search(queue: QueueState, filter: RunFilter): RunPage {
  const states = new Set(filter.states ?? RUN_STATES);
  const newest = new NewestRuns(filter.limit);
  const places = placesOf(queue, states);
  let [searched, isCut] = [0, false];
  for (const [index, place] of places.entries()) {
    const weightLeft = places.slice(index).reduce((sum, { weight }) => sum + weight, 0);
    const left = SEARCH_CAP - searched;
    const share = Math.min(left, Math.ceil((left * place.weight) / weightLeft));
    const looked = lookThrough(place, share, filter.limit, (run) => matches(run, states, filter));
    newest.add(looked.found.map((run): RunRecord => recordOf(run, queue.name)));
    searched += looked.searched;
    isCut ||= looked.isCut;
  }
  return { runs: newest.runs, searched, complete: !isCut && !newest.isCut };
}

function lookThrough(
  { runs, inOrder }: Place,
  share: number,
  limit: number,
  isWanted: (run: Run) => boolean,
): { readonly found: readonly Run[]; readonly searched: number; readonly isCut: boolean } {
  const found: Run[] = [];
  let searched = 0;
  for (const run of runs) {
    if (searched >= share || (inOrder && isFull(found, limit, run))) return { found, searched, isCut: true };
    searched += 1;
    if (isWanted(run)) found.push(run);
  }
  return { found, searched, isCut: false };
}

/** Runs that ended together are told apart by their ids: all of them must be seen. */
function isFull(found: readonly Run[], limit: number, next: Run): boolean {
  return found.length >= limit && next.endedAtMs !== found.at(-1)?.endedAtMs;
}

/** The lists that are not empty. Each kind of them weighs 1, so that none hides the others. */
function placesOf(queue: QueueState, states: ReadonlySet<string>): readonly Place[] {
  const places: Place[] = [];
  const addKind = (lists: readonly Iterable<Run>[], inOrder: boolean): void => {
    places.push(...lists.map((runs) => ({ runs, inOrder, weight: 1 / lists.length })));
  };
  if (states.has('running')) {
    const holders = [...[...queue.incarnations.values()].map(({ held }) => held), ...queue.dead];
    addKind(
      holders.filter(({ size }) => size > 0).map((held) => [...held.values()]),
      false,
    );
  }
  if (states.has('pending')) {
    const lanes = [...queue.lanes.all()].filter(({ runs }) => runs.length > 0);
    addKind(
      lanes.map(({ runs }) => runs.backwards()),
      false,
    );
  }
  if (states.has('delayed')) {
    const delayed = [...queue.runs.values()].filter(({ state }) => state === 'delayed').reverse();
    if (delayed.length > 0) addKind([delayed], false);
  }
  for (const shelf of queue.retention.newestFirst(states)) addKind([shelf], true);
  return places;
}

function matches(run: Run, states: ReadonlySet<string>, { task, scheduleUid }: RunFilter): boolean {
  if (!states.has(run.state) || (task !== undefined && run.task !== task)) return false;
  return scheduleUid === undefined || scheduleUidOfRunId(run.id) === scheduleUid;
}
