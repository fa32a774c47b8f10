/**
 * A Redis that was emptied is told by the controllers, or by the status of the object, how far each schedule is settled, and
 * goes on from there: what falls into the gap is owed. Only what nobody remembers begins anew.
 */
import type { Lineage } from './lineage.ts';
import type { World } from './world.ts';

interface Memory {
  readonly generation: number;
  readonly lostAtMs: number;
}

export class Remembered {
  readonly #world: World;
  #memories = new Map<string, Memory>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Every schedule that was in force, is unknown now, and whose status says how far it was settled. */
  note(lost: Lineage, next: Lineage): void {
    this.#memories = new Map();
    const { store, clock, controllers } = this.#world;
    // One that sees no changes may not know the status, and tells Redis of nothing else.
    if (controllers.some(({ isCutOff }) => isCutOff)) return;
    for (const { uid, generation, status } of store.all()) {
      const era = lost.slots.historyOf(uid).eras.at(-1);
      const isKept = status?.settledThroughTime !== undefined && status.observedGeneration === generation;
      if (era?.generation !== generation || era.suspended || !isKept) continue;
      if (next.slots.historyOf(uid).eras.length > 0) continue;
      this.#memories.set(uid, { generation, lostAtMs: clock.now() });
    }
  }

  check({ slots }: Lineage): void {
    for (const [uid, { generation, lostAtMs }] of this.#memories) {
      const [first] = slots.historyOf(uid).eras;
      if (first?.generation !== generation || first.suspended || first.notBeforeMs <= lostAtMs) continue;
      const since = new Date(first.notBeforeMs).toISOString();
      this.#world.book.breach(
        'P1',
        `${uid} begins anew at ${since}, although it was known how far it was settled`,
      );
    }
  }
}
