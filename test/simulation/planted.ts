/** Rules whose absence the simulation must notice: each is switched off by replacing one text of one source file. */

export interface PlantedBug {
  readonly name: string;
  readonly what: string;
  /** Below `src/`. */
  readonly file: string;
  readonly rule: string;
  readonly instead: string;
}

export const PLANTED: readonly PlantedBug[] = [
  {
    name: 'watermark-unchecked',
    what: 'fire takes slots up to the watermark',
    file: 'broker/memory/fire.ts',
    rule: "if (toMs <= watermarkMs) return 'duplicate';\n  if (fromMs <= watermarkMs) return 'watermark';",
    instead: '',
  },
  {
    name: 'generation-unchecked',
    what: 'fire takes slots by an old spec',
    file: 'broker/memory/fire.ts',
    rule: 'schedule === undefined || withdrawn || schedule.generation !== request.generation',
    instead: 'schedule === undefined || withdrawn',
  },
  {
    name: 'adopt-backwards',
    what: 'an older generation is adopted after a newer one',
    file: 'broker/memory/schedules.ts',
    rule: '(withdrawn || known.generation > request.generation) && request.force !== true',
    instead: 'withdrawn && request.force !== true',
  },
  {
    name: 'starts-before-its-slot',
    what: 'the run of a slot that was decided ahead does not wait for it',
    file: 'broker/memory/fire.ts',
    rule: 'delayMs: aheadMs + delayMs',
    instead: 'delayMs',
  },
  {
    name: 'held-for-nothing',
    what: 'a run that is handed out before its slot begins at once',
    file: 'consumer/claim-budget.ts',
    rule: "return waitMs > 0 ? 'early' : 'just-due';",
    instead: "return waitMs > 1_000 ? 'early' : 'just-due';",
  },
  {
    name: 'opposed-ahead',
    what: 'what stands against a slot decides it before it has come',
    file: 'broker/memory/fire.ts',
    rule: "if (isAhead && !isUnopposed(queue, schedule, request.concurrencyPolicy)) return refused('ahead');",
    instead: 'void isUnopposed, isAhead;',
  },
  {
    name: 'late-unchecked',
    what: 'a generation is followed although a slot of it has fallen due since it was closed',
    file: 'broker/memory/schedules.ts',
    rule: "if (!withdrawn && isLate(request, known, queue.clock.now())) return { outcome: 'late' };",
    instead: 'void isLate;',
  },
  {
    name: 'watermark-not-read-back',
    what: 'a watermark that went back is not noticed',
    file: 'controller/reconcile.ts',
    rule: 'return wentBack\n',
    instead: 'return wentBack && false\n',
  },
  {
    name: 'settled-forgotten',
    what: 'an emptied broker is told nothing of what is settled',
    file: 'controller/reconcile.ts',
    rule: '...(settledThroughMs !== undefined && { settledThroughMs }),',
    instead: '',
  },
  {
    name: 'settle-unfenced',
    what: 'a settle counts whoever holds the run, under whatever token',
    file: 'broker/memory/settle.ts',
    rule: "const run = incarnation.held.get(id);\n  incarnation.fenced.delete(id);\n  if (run?.token !== token) return 'unknown';",
    instead:
      "const run = queue.runs.get(id);\n  incarnation.fenced.delete(id);\n  if (run?.state !== 'running' || token === '') return 'unknown';",
  },
  {
    name: 'token-unchecked',
    what: 'a settle counts under the token of an earlier hand-out',
    file: 'broker/memory/settle.ts',
    rule: "if (run?.token !== token) return 'unknown';",
    instead: "if (run === undefined || token === '') return 'unknown';",
  },
  {
    name: 'no-amnesty',
    what: 'recovery judges at once after Redis was away',
    file: 'broker/memory/leases.ts',
    rule: 'const amnesty = queue.wasAway;',
    instead: 'const amnesty = false;',
  },
  {
    name: 'no-recovery',
    what: 'runs of dead consumers do not come back',
    file: 'broker/memory/leases.ts',
    rule: 'if (incarnation.held.size > 0) queue.dead.push(incarnation.held);',
    instead: '',
  },
  {
    name: 'neighbours-counted',
    what: 'a death counts for every run that the process held',
    file: 'broker/memory/leases.ts',
    rule: 'if (run.suspect) run.deaths += 1;',
    instead: 'run.deaths += 1;',
  },
  {
    name: 'poison-for-ever',
    what: 'a run that ends every process is never given up',
    file: 'broker/memory/leases.ts',
    rule: 'if (run.deaths >= queue.settings.maxDeliveries) {',
    instead: 'if (run.deaths >= queue.settings.maxDeliveries * 1_000) {',
  },
  {
    name: 'suspect-never',
    what: 'a run that comes back from a dead process is no suspect',
    file: 'broker/memory/leases.ts',
    rule: 'queue.withdraw(run);\n  run.suspect = true;',
    instead: 'queue.withdraw(run);',
  },
  {
    name: 'poison-waits',
    what: 'poison that has ended a process once is not handed out again, and never comes to an end',
    file: 'broker/memory/claim.ts',
    rule: '(task, executor) => slots[executor] > 0 && incarnation.taskNames.has(task)',
    instead:
      "(task, executor) => task !== 'poison' && slots[executor] > 0 && incarnation.taskNames.has(task)",
  },
  {
    name: 'suspects-together',
    what: 'a consumer may hold several suspects',
    file: 'broker/memory/claim.ts',
    rule: 'suspects !== undefined && holdsSuspect(incarnation) ? undefined : suspects',
    instead: 'suspects',
  },
  {
    name: 'limit-not-reentered',
    what: 'a task that was at its limit is not ready again when a run of it ends',
    file: 'broker/memory/queue-state.ts',
    rule: 'run.place = undefined;\n    this.lanes.refresh(run.task);',
    instead: 'run.place = undefined;',
  },
  {
    name: 'limit-counter-leaks',
    what: 'the limit of a task is not given back by recovery and settle',
    file: 'broker/memory/queue-state.ts',
    rule: 'this.tasks.entry(run.task).running -= 1;',
    instead: 'if (run.attempt > 1) this.tasks.entry(run.task).running -= 1;',
  },
  {
    name: 'limit-ignored',
    what: 'claim does not look at the room that a task has',
    file: 'broker/memory/lanes.ts',
    rule: 'quantum: Math.min(QUANTUM, this.#tasks.roomFor(lane.task))',
    instead: 'quantum: QUANTUM',
  },
  {
    name: 'promoted-twice',
    what: 'a delayed run that is due is promoted again and again',
    file: 'broker/memory/promote.ts',
    rule: 'const id = queue.delayed.takeDue(nowMs);\n  const run = id === undefined ? undefined : queue.runs.get(id);\n  if (run === undefined) return false;',
    instead:
      "const run = [...queue.runs.values()].find((one) => one.dueAtMs !== undefined && one.dueAtMs <= nowMs && one.dueAtMs > nowMs - 200);\n  if (run === undefined || queue.delayed.takeDue(nowMs) === undefined && run.state !== 'pending') return false;\n  run.dueAtMs = undefined;",
  },
  {
    name: 'no-reconcile',
    what: 'a consumer never asks what it holds',
    file: 'consumer/reconcile-held.ts',
    rule: 'for (const orphan of orphans) onOrphan(orphan, incarnation);',
    instead: 'void [orphans, onOrphan];',
  },
  {
    name: 'attempt-used-by-release',
    what: 'a run that is given back has used an attempt',
    file: 'broker/memory/settle.ts',
    rule: 'run.attempt -= 1;',
    instead: '',
  },
  {
    name: 'claims-after-stop',
    what: 'a consumer that was told to stop claims once more',
    file: 'consumer/queue-calls.ts',
    rule: '(signal.aborted ? undefined : await this.#cycle(want))',
    instead: '(void signal, await this.#cycle(want))',
  },
  {
    name: 'forbid-ignored',
    what: 'Forbid fires beside a run in flight',
    file: 'broker/memory/fire.ts',
    rule: "policy === 'Forbid' && inFlight.length > 0",
    instead: "policy === 'Forbid' && inFlight.length > 1",
  },
  {
    name: 'replace-leaves-running',
    what: 'Replace does not end what runs',
    file: 'broker/memory/fire.ts',
    rule: "const toReplace = policy === 'Replace' ? inFlight : [];",
    instead:
      "const toReplace = policy === 'Replace' ? inFlight.filter((run) => run.state !== 'running') : [];",
  },
  {
    name: 'pending-unbounded',
    what: 'enqueue takes more than may wait',
    file: 'broker/memory/producers.ts',
    rule: "if (queue.isFull) return 'full';",
    instead: '',
  },
  {
    name: 'retention-forever',
    what: 'records are kept beyond their age',
    file: 'broker/memory/promote.ts',
    rule: 'while (dropped < PROMOTE_CHUNK && queue.retention.dropOneDue(nowMs)) dropped += 1;',
    instead: 'if (queue.paused && queue.retention.dropOneDue(nowMs)) dropped += 1;',
  },
  {
    name: 'recovery-forgets',
    what: 'a run that comes back from a dead consumer is dropped when the queue is long',
    file: 'broker/memory/leases.ts',
    rule: "queue.putBack(run, 'back');\n  return 'returned';",
    instead:
      "if (queue.waiting < 8) queue.putPending(run, 'back');\n  else queue.runs.delete(run.id);\n  return 'returned';",
  },
];
