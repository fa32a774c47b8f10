/** All rows of the fault matrix that this suite injects, in the order of their numbers. */
import type { FaultRow } from './row.ts';
import * as builds from './rows/builds.ts';
import * as clocks from './rows/clocks.ts';
import * as cluster from './rows/cluster.ts';
import * as consumers from './rows/consumers.ts';
import * as crashes from './rows/crashes.ts';
import * as failover from './rows/failover.ts';
import * as network from './rows/network.ts';
import * as redisDies from './rows/redis-dies.ts';
import * as redisSuffers from './rows/redis-suffers.ts';
import * as schedulers from './rows/schedulers.ts';
import * as storm from './rows/storm.ts';
import * as tenants from './rows/tenants.ts';

export const ROWS: readonly FaultRow[] = [
  builds,
  clocks,
  cluster,
  consumers,
  crashes,
  failover,
  network,
  redisDies,
  redisSuffers,
  schedulers,
  storm,
  tenants,
]
  .flatMap((file): readonly FaultRow[] => Object.values(file))
  .toSorted((left, right) => left.row - right.row);
