/** Lanes and the order between them: fair between tasks, weighted between priorities, and no lane starved. */
import { EXECUTORS, PRIORITIES, type Executor, type Priority } from '../../task/run.ts';
import { LinkedList } from '../../runtime/linked-list.ts';
import type { Run } from './run.ts';
import type { TaskTable } from './task-table.ts';

/** A lane's kind. Runs that a process died with wait in a lane of their own, one for each task. */
type LaneKind = Priority | 'suspect';

/** First letter of a lane's key, as on Redis: where two lanes are level, the lesser key goes first. */
const LETTERS: Readonly<Record<LaneKind, string>> = { high: 'h', medium: 'm', low: 'l', suspect: 's' };
/** Virtual time that one run costs its lane: the inverse of the weights 100 : 10 : 1, in whole numbers. */
const COSTS: Readonly<Record<LaneKind, number>> = { high: 1, medium: 10, low: 100, suspect: 0 };
/** Runs taken from a lane before the next least lane has its turn; smaller is dearer on Redis, and both brokers take alike. */
const QUANTUM = 64;

export interface Lane {
  readonly key: string;
  readonly kind: LaneKind;
  readonly task: string;
  readonly runs: LinkedList<Run>;
  /** How far it has been served; the least is served next. Of suspects: when it became ready or was last served. */
  score: number;
  /** Not empty, not paused, below its task's limit, and of a known executor. */
  ready: boolean;
}

export class LaneTable {
  readonly #lanes = new Map<string, Lane>();
  readonly #tasks: TaskTable;
  readonly #now: () => number;
  /** Least score of each ready set when the transition began: what lanes that enter are measured by, in whatever order. */
  readonly #leastAtStart = new Map<Executor, number>();

  constructor(tasks: TaskTable, now: () => number) {
    this.#tasks = tasks;
    this.#now = now;
  }

  /** To be called before each transition, so that lanes which enter together do not push each other back. */
  beginTransition(): void {
    this.#leastAtStart.clear();
    for (const executor of EXECUTORS) {
      const least = leastScore(this.#readyOf(executor));
      if (least !== undefined) this.#leastAtStart.set(executor, least);
    }
  }

  all(): Iterable<Lane> {
    return this.#lanes.values();
  }

  laneOf(run: Run): Lane {
    const kind = run.suspect ? 'suspect' : run.priority;
    const key = `${LETTERS[kind]}:${run.task}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { key, kind, task: run.task, runs: new LinkedList(), score: 0, ready: false };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  *lanesOf(task: string): Iterable<Lane> {
    for (const kind of [...PRIORITIES, 'suspect'] as const) {
      const lane = this.#lanes.get(`${LETTERS[kind]}:${task}`);
      if (lane !== undefined) yield lane;
    }
  }

  /** To be called after anything that may let lanes of the task become ready, or stop being so. */
  refresh(task: string): void {
    for (const lane of this.lanesOf(task)) this.#refreshLane(lane);
  }

  /** Ready lanes that may be claimed from, pulled together so that none waits for ever behind lanes that other pools serve. */
  candidates(executor: Executor, canRun: (task: string) => boolean): Lane[] {
    const lanes = this.#readyOf(executor).filter((lane) => canRun(lane.task));
    const least = leastScore(lanes) ?? 0;
    for (const lane of lanes) lane.score = Math.min(lane.score, furthest(least, lane));
    return lanes;
  }

  /** The lane whose turn it is, and how many it may give up: at most a quantum. */
  turn(lanes: readonly Lane[]): { readonly lane: Lane; readonly quantum: number } | undefined {
    const lane = leastOf(lanes.filter(({ ready }) => ready));
    return lane && { lane, quantum: Math.min(QUANTUM, this.#tasks.roomFor(lane.task)) };
  }

  /** The lane of suspects whose turn it is, among tasks that the claimer can run now. */
  suspectTurn(canRun: (task: string, executor: Executor) => boolean): Lane | undefined {
    const mayRun = ({ kind, ready, task }: Lane): boolean => {
      const { executor } = this.#tasks.entry(task);
      return kind === 'suspect' && ready && executor !== undefined && canRun(task, executor);
    };
    return leastOf([...this.#lanes.values()].filter(mayRun));
  }

  /** Charges the lane for what was taken from it. */
  charge(lane: Lane, taken: number): void {
    if (lane.kind === 'suspect') lane.score = this.#now();
    else lane.score += taken * COSTS[lane.kind];
  }

  #readyOf(executor: Executor): Lane[] {
    return [...this.#lanes.values()].filter(
      ({ kind, ready, task }) => kind !== 'suspect' && ready && this.#tasks.entry(task).executor === executor,
    );
  }

  #refreshLane(lane: Lane): void {
    const { executor } = this.#tasks.entry(lane.task);
    const ready = executor !== undefined && lane.runs.length > 0 && this.#tasks.roomFor(lane.task) > 0;
    if (ready && !lane.ready) lane.score = this.#entryScore(lane, executor);
    lane.ready = ready;
  }

  /** A lane that was away may not use up at once what it did not take meanwhile, nor be further behind than a quantum. */
  #entryScore(lane: Lane, executor: Executor): number {
    if (lane.kind === 'suspect') return this.#now();
    const least = this.#leastAtStart.get(executor);
    return least === undefined ? lane.score : Math.min(Math.max(lane.score, least), furthest(least, lane));
  }
}

/** A lane may be ahead of the least by what one quantum costs it. */
const furthest = (least: number, lane: Lane): number => least + QUANTUM * COSTS[lane.kind];

function leastScore(lanes: readonly Lane[]): number | undefined {
  return lanes.length === 0 ? undefined : Math.min(...lanes.map(({ score }) => score));
}

function leastOf(lanes: readonly Lane[]): Lane | undefined {
  let least: Lane | undefined;
  for (const lane of lanes) {
    const precedes =
      least === undefined || lane.score < least.score || (lane.score === least.score && lane.key < least.key);
    if (precedes) least = lane;
  }
  return least;
}
