/** The checks of `tidemill doctor --kubernetes`: is the cluster new enough, is our CRD in it, does a controller work? */
import type { ClusterFacts, LeaseFacts, Reading } from '../../kube/cluster-facts.ts';
import { crdSchema } from '../../resource/crd.ts';
import { API_VERSION, KIND, PLURAL } from '../../resource/scheduled-task.ts';
import type { Clock } from '../../runtime/clock.ts';
import { showDuration } from '../format.ts';
import type { Io } from '../io.ts';
import { type KubeSettings, kubeSource } from '../kube-settings.ts';
import { VERSION } from '../version.ts';
import { explained, type Finding } from './finding.ts';
import { schemaDifferences } from './schema-differences.ts';

/** Older ones lack what the CRD and the charts use. */
const OLDEST_MINOR = 33;
const CRD_COMMAND = '`tidemill crd | kubectl apply --server-side -f -`';
const FIELDS_SHOWN = 3;
/** How long a Lease that looks old may take to be renewed: its holder does that every 2 s. */
const RENEWAL_MS = 6_000;

export interface DoctorKubeSettings extends KubeSettings {
  readonly leaseName: string;
  readonly leaseNamespace?: string | undefined;
}

/** Loads the Kubernetes client, which nothing else of `doctor` needs. */
export async function kubernetesFindings(settings: DoctorKubeSettings, io: Io): Promise<readonly Finding[]> {
  const [{ connectKube }, { ClusterFacts: Facts }] = await Promise.all([
    import('../../kube/connect.ts'),
    import('../../kube/cluster-facts.ts'),
  ]);
  const { clock } = io;
  try {
    await using connection = connectKube({
      ...kubeSource(settings, io),
      clock,
      userAgent: `tidemill-doctor/${VERSION}`,
    });
    const lease = {
      namespace: settings.leaseNamespace ?? connection.namespace,
      name: settings.leaseName,
    };
    return await clusterFindings(new Facts(connection), lease, clock);
  } catch (error) {
    return [{ check: 'api-server', result: 'failed', message: explained(error) }];
  }
}

type AskedFacts = Pick<ClusterFacts, 'server' | 'version' | 'served' | 'storedSchema' | 'lease' | 'renewal'>;

/** Everything that can be told of one cluster; nothing is thrown. */
export async function clusterFindings(
  facts: AskedFacts,
  lease: { readonly namespace: string; readonly name: string },
  clock: Clock,
): Promise<readonly Finding[]> {
  const server = await checked('api-server', async () => versionFinding(facts.server, await facts.version()));
  if (server.result === 'failed') {
    const message = 'the API server could not be asked';
    return [server, ...['crd', 'crd-schema', 'lease'].map((check) => skipped(check, message))];
  }
  return [
    server,
    await checked('crd', async () => servedFinding(await facts.served())),
    await checked('crd-schema', async () => schemaFinding(await facts.storedSchema())),
    await checked('lease', () => leaseFinding(facts, lease, clock)),
  ];
}

async function checked(check: string, find: () => Promise<Finding>): Promise<Finding> {
  try {
    return await find();
  } catch (error) {
    return { check, result: 'failed', message: explained(error) };
  }
}

const skipped = (check: string, message: string): Finding => ({ check, result: 'skipped', message });

function versionFinding(server: string, version: string): Finding {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  const isOld = Number(major) < 1 || (Number(major) === 1 && Number(minor) < OLDEST_MINOR);
  const advice = isOld ? `: tested from v1.${OLDEST_MINOR} on; upgrade the cluster` : '';
  return {
    check: 'api-server',
    result: isOld ? 'warning' : 'ok',
    message: `${server} answers: Kubernetes ${version}${advice}`,
  };
}

function servedFinding(served: Reading<readonly string[]>): Finding {
  const check = 'crd';
  if (served.kind === 'forbidden')
    return skipped(check, 'not allowed to ask what is served (the ClusterRole system:discovery allows it)');
  const names = served.kind === 'read' ? served.value : [];
  if (names.includes(PLURAL) && names.includes(`${PLURAL}/status`))
    return { check, result: 'ok', message: `${API_VERSION} is served, with ${KIND}` };
  return {
    check,
    result: 'failed',
    message: `${API_VERSION} with ${KIND} is not served: install the CRD with ${CRD_COMMAND}, or with the chart tidemill`,
  };
}

function schemaFinding(stored: Reading<object>): Finding {
  const check = 'crd-schema';
  if (stored.kind === 'forbidden')
    return skipped(
      check,
      'not allowed to read the CRD, so its schema was not compared with that of this version',
    );
  if (stored.kind === 'absent') return skipped(check, 'there is no CRD whose schema could be compared');
  const differing = schemaDifferences(crdSchema(), stored.value);
  if (differing.length === 0) return { check, result: 'ok', message: `that of tidemill ${VERSION}` };
  const more = differing.length > FIELDS_SHOWN ? ` and ${differing.length - FIELDS_SHOWN} more` : '';
  return {
    check,
    result: 'warning',
    message:
      `the CRD in the cluster is not that of tidemill ${VERSION}: it differs at ${differing.slice(0, FIELDS_SHOWN).join(', ')}${more}. ` +
      `If the cluster has the older one, install ours with ${CRD_COMMAND}; else upgrade this program`,
  };
}

async function leaseFinding(
  facts: AskedFacts,
  lease: { readonly namespace: string; readonly name: string },
  clock: Clock,
): Promise<Finding> {
  const found = await facts.lease(lease);
  const at = `Lease ${lease.namespace}/${lease.name}`;
  const failed = (message: string): Finding => ({ check: 'lease', result: 'failed', message });
  if (found.kind === 'forbidden')
    return failed(`not allowed to read ${at}: it takes the verb get on leases, by that name`);
  if (found.kind === 'absent')
    return failed(
      `there is no ${at}: no controller has ever led by that name. Is one running, and are --lease-name and --lease-namespace those of it?`,
    );
  const { holder } = found.value;
  if (holder === '')
    return failed(
      `nobody holds ${at}: the last holder has left it. Is a controller running, and is it ready?`,
    );
  const aged = ageOf(found.value, clock.now());
  if (aged.isFresh) return { check: 'lease', result: 'ok', message: `${at}: ${holder}, ${aged.text}` };
  // Clocks differ, so an age is no proof: whether it is renewed before our eyes is one.
  if (await facts.renewal(lease, found.value, RENEWAL_MS, clock))
    return {
      check: 'lease',
      result: 'warning',
      message: `${at} is being renewed, and yet it was ${aged.text}: the clock of ${holder}, or of this machine, is wrong`,
    };
  return failed(
    `${at} is not being renewed by its holder ${holder} (${aged.text}), and nobody has followed: no controller works. Look at the pods of the controller and their logs`,
  );
}

/** Clocks of one cluster may differ by this much. */
const CLOCK_TOLERANCE_MS = 2_000;

function ageOf(
  { renewedAtMs, leaseMs }: LeaseFacts,
  nowMs: number,
): { readonly isFresh: boolean; readonly text: string } {
  if (renewedAtMs === undefined) return { isFresh: false, text: 'never renewed' };
  const ageMs = nowMs - renewedAtMs;
  if (ageMs < -CLOCK_TOLERANCE_MS)
    return { isFresh: false, text: `renewed ${showDuration(-ageMs)} in the future` };
  return { isFresh: ageMs <= leaseMs, text: `renewed ${showDuration(Math.max(0, ageMs))} ago` };
}
