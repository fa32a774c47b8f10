/** Rows of the fault matrix that other tests of this repository inject. A test holds each title to its file. */
import type { RowElsewhere } from './row.ts';

export const ROWS_ELSEWHERE: readonly RowElsewhere[] = [
  {
    row: 3,
    fault: 'a task blocks the event loop of its consumer for two leases',
    injection: 'a busy loop in an IO task',
    promise: 'the lease is kept by a thread of its own: the run is executed once',
    tests: [
      {
        file: 'test/e2e/consumer-dies.test.ts',
        title: 'an IO task that blocks its event loop for twice the lease keeps its lease and runs once',
      },
      {
        file: 'test/integration/redis/heartbeat.test.ts',
        title:
          'a loop that is stuck beyond its bound loses its run to another consumer, and its process is killed with a line that says why',
      },
    ],
  },
  {
    row: 4,
    fault: 'an IO task hangs',
    injection: 'a promise that never settles',
    promise: 'it is settled as timed out a second after its timeout; its slot is told of; others go on',
    tests: [
      {
        file: 'test/unit/consumer/stopping.test.ts',
        title:
          'a run that ignores its signal is settled one second after its timeout, and its slot counts as leaked',
      },
      {
        file: 'test/integration/cli/consumer.test.ts',
        title: 'a consumer whose slots have leaked ends with 1, whatever its bodies still hold',
      },
    ],
  },
  {
    row: 7,
    fault: 'Redis is emptied',
    injection: 'FLUSHALL under load',
    promise: 'schedules go on within two slots, none is lost or fired twice',
    tests: [
      {
        file: 'test/e2e/kube/redis-faults.test.ts',
        title: 'schedules go on within two ticks, and no slot is lost or fired twice',
      },
    ],
  },
  {
    row: 18,
    fault: 'Redis may evict what waits',
    injection: 'maxmemory-policy allkeys-lru',
    promise: 'refused at the start, and named',
    tests: [
      {
        file: 'test/integration/redis/suitability.test.ts',
        title: 'an eviction policy that may delete waiting runs is refused, and named',
      },
    ],
  },
  {
    row: 23,
    fault: 'an entry in the queue is damaged',
    injection: 'what cannot be read in the place of records, options and ids',
    promise: 'each ends with its reason and holds nothing up',
    tests: [
      { file: 'test/corpus/queue-entries.test.ts', title: 'hold nothing up' },
      {
        file: 'test/corpus/queue-entries.test.ts',
        title: 'a delayed entry that cannot be read is dead-lettered when it is due',
      },
    ],
  },
  {
    row: 27,
    fault: 'the leading controller is cut off from the API server alone',
    injection: 'a proxy between controller and API server, frozen',
    promise: 'it goes on until it sees who leads now; no slot fires twice, none by an old spec',
    tests: [
      {
        file: 'test/integration/kube/lease.test.ts',
        title: 'one that is cut off goes on until it sees who leads now',
      },
      {
        file: 'test/e2e/kube/stale-spec.test.ts',
        title:
          'two frozen and three cut off in different ways fire nothing by it after another has acted on the new one',
      },
    ],
  },
  {
    row: 28,
    fault: 'the API server is away',
    injection: 'kill -9 of a real API server for 30 s',
    promise: 'schedules go on from memory; status and edits catch up',
    tests: [
      {
        file: 'test/e2e/kube/api-away.test.ts',
        title: 'schedules fire on time through 30 s without it, and status and changes catch up after',
      },
    ],
  },
  {
    row: 29,
    fault: 'a watch is dead without a sign',
    injection: 'a proxy that swallows its events',
    promise: 'a change is seen within a minute',
    tests: [
      {
        file: 'test/e2e/kube/api-storms.test.ts',
        title: 'a watch that is dead without a sign: a change is seen within a minute',
      },
    ],
  },
  {
    row: 30,
    fault: 'etcd is compacted, or restored to an older revision',
    injection: 'etcdctl compact, and a snapshot restored under a real API server',
    promise: 'what the API server says now is adopted; deletions are noticed',
    tests: [
      {
        file: 'test/e2e/kube/watch-faults.test.ts',
        title:
          'etcd compacted and the API server restarted: changes and deletions of meanwhile are found by a list',
      },
      {
        file: 'test/e2e/kube/watch-faults.test.ts',
        title: 'etcd restored to an older snapshot: what the API server says now is adopted, be it older',
      },
    ],
  },
  {
    row: 31,
    fault: 'the API server answers 429, 500 and 409',
    injection: 'a proxy that answers in its place',
    promise: 'Retry-After is obeyed, nothing is asked more than once a second, and status converges',
    tests: [
      {
        file: 'test/e2e/kube/api-storms.test.ts',
        title: 'asked no more than once a second for the same thing, and converges after',
      },
    ],
  },
  {
    row: 33,
    fault: 'a controller acts on an old copy of an object',
    injection: 'a watch that lags, and a write over a version that is gone',
    promise: 'no double fire, and no status goes back',
    tests: [
      {
        file: 'test/integration/kube/status.test.ts',
        title: 'an old version is a conflict, and changes nothing',
      },
      {
        file: 'test/e2e/kube/chaos.test.ts',
        title: 'killed, frozen and cut off for a minute, 0 slots are lost and 0 doubled',
      },
    ],
  },
  {
    row: 38,
    fault: 'a child process ends badly',
    injection: 'silent exit, exit code, SIGKILL, heap, hang, grandchildren, ignored SIGTERM',
    promise: 'the run ends with the right reason, and nothing of it is left',
    tests: [
      {
        file: 'test/e2e/children-die.test.ts',
        title:
          'children that exit silently, exhaust their heap, ignore SIGTERM or flood stdout end as what they are, and neighbours succeed',
      },
      {
        file: 'test/integration/children/aborts.test.ts',
        title: 'what a body has started is killed with it, at a timeout',
      },
    ],
  },
  {
    row: 39,
    fault: 'a task floods its output',
    injection: '400 MiB, a line of 100 MiB, binary',
    promise: 'memory stays flat, what is cut is counted, neighbours are not held up',
    tests: [
      {
        file: 'test/integration/children/output.test.ts',
        title:
          'a flood of 400 MiB is drained and cut off: memory of parent and child stays flat, and the run succeeds',
      },
      {
        file: 'test/integration/children/output.test.ts',
        title: 'a flood in one child does not hold up a run in another',
      },
    ],
  },
  {
    row: 40,
    fault: 'a result cannot be stored',
    injection: 'cycles, getters that throw, 50 MB, deep nesting',
    promise: 'the run fails with the path or the size; the consumer lives',
    tests: [
      {
        file: 'test/integration/children/results.test.ts',
        title: 'a result that is not JSON fails the run and names the path',
      },
      { file: 'test/unit/task/result.test.ts', title: 'stores 64 KiB and refuses one byte more' },
    ],
  },
  {
    row: 41,
    fault: 'a task leaves an error uncaught',
    injection: 'a throw and a rejection after the body has ended',
    promise: 'it is logged with the task’s name, and the consumer lives',
    tests: [
      {
        file: 'test/integration/cli/commands.test.ts',
        title: 'what a task leaves uncaught is logged with its name, and the consumer lives',
      },
    ],
  },
  {
    row: 43,
    fault: 'a consumer is told to stop while Redis stands still',
    injection: 'SIGSTOP of Redis, then the stop',
    promise: 'it ends within its grace, and its runs come back',
    tests: [
      {
        file: 'test/integration/consumer/network.test.ts',
        title:
          'told to stop while Redis stands still, a consumer ends within its grace, and its runs come back',
      },
    ],
  },
  {
    row: 46,
    fault: 'Tidemill is uninstalled while its objects are there',
    injection: 'helm uninstall on a real API server',
    promise: 'it goes at once, since nothing has a finalizer; the CRD and its objects stay',
    tests: [
      {
        file: 'test/integration/kube/charts-release.test.ts',
        title:
          'is installed, upgraded from an older version, rolled back, and uninstalled but for the CRD and its objects',
      },
    ],
  },
];

/** Rows that no test injects as they stand, and what there is instead. */
export const ROWS_OPEN: readonly { readonly row: number; readonly fault: string; readonly why: string }[] = [
  {
    row: 47,
    fault: 'everything at random, for hours',
    why: 'by command: `npm run soak -- --minutes 480`',
  },
  {
    row: 48,
    fault: 'everything at random, on a virtual clock',
    why: 'by command: `npm run simulate`',
  },
];
