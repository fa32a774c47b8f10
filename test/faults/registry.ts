/** All rows of the fault matrix that this suite injects, in the order of their numbers. */
import type { FaultRow } from './row.ts';
import * as clocks from './rows/clocks.ts';
import * as consumers from './rows/consumers.ts';
import * as failover from './rows/failover.ts';
import * as network from './rows/network.ts';
import * as redisDies from './rows/redis-dies.ts';
import * as redisSuffers from './rows/redis-suffers.ts';
import * as schedulers from './rows/schedulers.ts';

export const ROWS: readonly FaultRow[] = [
  clocks,
  consumers,
  failover,
  network,
  redisDies,
  redisSuffers,
  schedulers,
]
  .flatMap((file): readonly FaultRow[] => Object.values(file))
  .toSorted((left, right) => left.row - right.row);
