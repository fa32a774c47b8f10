/** Finds the servers that the tests run against, or installs them where it may, and says what it does. */
import { CLUSTER_PROGRAMS } from '../cluster/ground/files.ts';
import { ensureClusterGround } from '../cluster/ground/requirements.ts';
import { CONTROL_PLANE_PROGRAMS, programs } from '../programs/programs.ts';
import { ensureRedis } from './ensure-redis.ts';
import { installValkey } from './install-valkey.ts';

const CHART_PROGRAMS = ['helm', 'helm3', 'kubeconform'] as const;

export interface WantedServers {
  /** Whether the tests that run need a Kubernetes API server; building one takes minutes. */
  readonly controlPlane: boolean;
  /** Whether they render and install the charts; building both Helms takes four minutes. */
  readonly charts: boolean;
  /** Whether they need a whole cluster; building it takes a quarter of an hour. */
  readonly cluster: boolean;
}

/** @throws Error with one sentence that says what to install */
export async function ensureServers({ controlPlane, charts, cluster }: WantedServers): Promise<void> {
  ensureRedis();
  await installValkey();
  if (cluster) ensureClusterGround();
  if (controlPlane) await programs(CONTROL_PLANE_PROGRAMS);
  if (charts) await programs(CHART_PROGRAMS);
  if (cluster) await programs([...CLUSTER_PROGRAMS, 'helm']);
}
