/** The `values.schema.json` of both charts. Closed wherever Kubernetes or the user does not decide what may stand there, so that a typing error is refused with its name. */
import { LOG_LEVELS } from '../src/telemetry/log.ts';
import {
  QUEUE_NAME_MAX_LENGTH,
  QUEUE_NAME_PATTERN,
  TASK_NAME_MAX_LENGTH,
  TASK_NAME_PATTERN,
} from '../src/task/names.ts';

/** A node of a JSON schema. */
export interface SchemaNode {
  readonly [keyword: string]: unknown;
}
type Properties = Readonly<Record<string, SchemaNode>>;

const TEXT: SchemaNode = { type: 'string' };
/** As TEXT, where nothing works without. */
const NEEDED_TEXT: SchemaNode = { type: 'string' };
const FLAG: SchemaNode = { type: 'boolean' };
/** What Kubernetes defines: its API server says what is wrong with it. */
const OPEN: SchemaNode = { type: 'object' };
const OPEN_LIST: SchemaNode = { type: 'array', items: OPEN };
const LABELS: SchemaNode = { type: 'object', additionalProperties: TEXT };

const closed = (properties: Properties, more: SchemaNode = {}): SchemaNode => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...more,
});
const listOf = (items: SchemaNode, more: SchemaNode = {}): SchemaNode => ({ type: 'array', items, ...more });
const whole = (minimum: number, maximum?: number): SchemaNode => ({
  type: 'integer',
  minimum,
  ...(maximum !== undefined && { maximum }),
});
const oneOf = (...values: readonly string[]): SchemaNode => ({ enum: values });
const matching = (pattern: RegExp, more: SchemaNode = {}): SchemaNode => ({
  type: 'string',
  pattern: pattern.source,
  ...more,
});
const AUTO = { const: 'auto' };
const orAuto = (node: SchemaNode): SchemaNode => ({ anyOf: [AUTO, node] });

const DNS_LABEL = matching(QUEUE_NAME_PATTERN, { maxLength: QUEUE_NAME_MAX_LENGTH });
const PULL_POLICY = oneOf('Always', 'IfNotPresent', 'Never');
const DURATION = matching(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/);
const BYTES = matching(/^[0-9]{1,12}(KiB|MiB|GiB)?$/);
const DIGEST = matching(/^(sha256:[0-9a-f]{64})?$/);
/** `--set image.tag=1` makes a number of it; 1.10 is refused, for YAML has made 1.1 of that already. */
const TAG: SchemaNode = { type: ['string', 'integer'] };
/** By name: a text, or what `valueFrom` takes. */
const ENV: SchemaNode = {
  type: 'object',
  propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
  additionalProperties: closed(
    { secretKeyRef: OPEN, configMapKeyRef: OPEN, fieldRef: OPEN, resourceFieldRef: OPEN, fileKeyRef: OPEN },
    { type: ['string', 'number', 'boolean', 'object'], minProperties: 1 },
  ),
};
const SPREAD = orAuto(OPEN_LIST);
const RESOURCES = closed({ requests: OPEN, limits: OPEN, claims: OPEN_LIST });
const SETTINGS = closed({
  lease: DURATION,
  heartbeat: DURATION,
  childRestricted: FLAG,
  childRead: NEEDED_TEXT,
  childWrite: NEEDED_TEXT,
  childAllow: NEEDED_TEXT,
  retainSucceeded: DURATION,
  retainSucceededBytes: BYTES,
  retainFailed: DURATION,
  retainFailedBytes: BYTES,
  maxPending: whole(1, 1_000_000_000),
  maxPendingPerSchedule: whole(1, 1_000_000_000),
  maxDeliveries: whole(1, 100),
});
/** What a user may well leave behind as `env:` with nothing under it: Helm makes null of that, and it means none. */
const MAY_BE_NULL: ReadonlySet<SchemaNode | undefined> = new Set([
  TEXT,
  OPEN,
  LABELS,
  ENV,
  SPREAD,
  TAG,
  DIGEST,
  RESOURCES,
  SETTINGS,
]);
const mayBeNull = (node: SchemaNode | undefined): boolean =>
  MAY_BE_NULL.has(node) || (node?.['type'] === 'array' && !('minItems' in node));
/** `closed`, where a value of null is refused with its name if the templates cannot do without it. */
const complete = (properties: Properties): SchemaNode =>
  closed(properties, { required: Object.keys(properties).filter((key) => !mayBeNull(properties[key])) });
const PORTS = listOf(whole(1, 65_535), { minItems: 1 });
/** `*` alone, or names. */
const namesOf = (name: SchemaNode): SchemaNode => ({
  anyOf: [{ type: 'array', items: { const: '*' }, maxItems: 1 }, listOf(name)],
});

const IMAGE: Properties = { repository: NEEDED_TEXT, tag: TAG, digest: DIGEST, pullPolicy: PULL_POLICY };
const SERVICE_ACCOUNT = complete({ create: FLAG, name: TEXT, annotations: LABELS });
const REDIS: Properties = {
  // No pattern: a refusal by the schema would print the value, and with it a password.
  url: TEXT,
  existingSecret: TEXT,
  secretKeys: complete({
    url: NEEDED_TEXT,
    username: TEXT,
    password: TEXT,
    sentinelPassword: TEXT,
    ca: TEXT,
  }),
  caConfigMap: complete({ name: TEXT, key: NEEDED_TEXT }),
  sentinels: listOf(matching(/^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$/)),
  sentinelName: TEXT,
  cluster: FLAG,
  prefix: matching(/^[a-z0-9_-]{1,32}$/),
};
const MONITOR = complete({ enabled: FLAG, interval: DURATION, labels: LABELS });
const TESTS = complete({ enabled: FLAG, timeoutSeconds: whole(1, 3_600) });
const NAMES: Properties = { nameOverride: TEXT, fullnameOverride: TEXT, commonLabels: LABELS };
/** Of each pod. */
const POD: Properties = {
  resources: RESOURCES,
  heapMiB: orAuto(whole(32)),
  env: ENV,
  podAnnotations: LABELS,
  podLabels: LABELS,
  priorityClassName: TEXT,
  nodeSelector: LABELS,
  tolerations: OPEN_LIST,
  affinity: OPEN,
  topologySpreadConstraints: SPREAD,
  podSecurityContext: OPEN,
  securityContext: OPEN,
};
/** Helm itself puts it there for charts within charts. */
const GLOBAL: Properties = { global: OPEN };

const NETWORK: Properties = {
  enabled: FLAG,
  ingressFrom: OPEN_LIST,
  redisTo: OPEN_LIST,
  redisPorts: PORTS,
};

const CONTROLLER = complete({
  ...GLOBAL,
  ...NAMES,
  image: complete(IMAGE),
  imagePullSecrets: OPEN_LIST,
  install: DNS_LABEL,
  watchNamespaces: listOf(DNS_LABEL),
  logLevel: oneOf(...LOG_LEVELS),
  queues: {
    type: 'object',
    propertyNames: DNS_LABEL,
    additionalProperties: closed(
      {
        namespaces: namesOf(DNS_LABEL),
        tasks: namesOf(matching(TASK_NAME_PATTERN, { maxLength: TASK_NAME_MAX_LENGTH })),
      },
      { type: ['object', 'null'] },
    ),
  },
  redis: complete({
    ...REDIS,
    dev: complete({
      enabled: FLAG,
      image: NEEDED_TEXT,
      imagePullPolicy: PULL_POLICY,
      maxmemory: matching(/^[0-9]+([kKmMgG][bB]?)?$/),
      persistence: complete({ enabled: FLAG, size: NEEDED_TEXT, storageClassName: TEXT }),
      resources: RESOURCES,
    }),
  }),
  crds: complete({ install: FLAG, keep: FLAG, annotations: LABELS }),
  rbac: complete({ create: FLAG, aggregate: FLAG }),
  serviceAccount: SERVICE_ACCOUNT,
  controller: complete({
    ...POD,
    replicas: whole(0, 10),
    podDisruptionBudget: complete({ enabled: FLAG }),
  }),
  service: complete({ annotations: LABELS }),
  networkPolicy: complete({ ...NETWORK, apiServerTo: OPEN_LIST, apiServerPorts: PORTS }),
  observability: complete({
    serviceMonitor: MONITOR,
    prometheusRule: complete({ enabled: FLAG, labels: LABELS, disabledAlerts: listOf(TEXT) }),
    dashboard: complete({ enabled: FLAG, labels: LABELS, annotations: LABELS }),
  }),
  tests: TESTS,
});

const WORKER = complete({
  ...GLOBAL,
  ...NAMES,
  ...POD,
  image: complete(IMAGE),
  imagePullSecrets: OPEN_LIST,
  command: listOf(TEXT),
  tasks: { anyOf: [matching(/./), listOf(matching(/./), { minItems: 1 })] },
  queues: listOf(DNS_LABEL, { minItems: 1, uniqueItems: true }),
  concurrency: whole(1, 10_000),
  cpuConcurrency: orAuto(whole(0, 256)),
  drainSeconds: whole(0, 86_400),
  killGraceSeconds: whole(0, 600),
  logLevel: oneOf(...LOG_LEVELS),
  settings: SETTINGS,
  redis: complete(REDIS),
  replicas: whole(0),
  autoscaling: complete({
    type: oneOf('none', 'hpa', 'keda'),
    minReplicas: whole(0),
    maxReplicas: whole(1),
    hpa: complete({ targetCPUUtilizationPercentage: whole(0), metrics: OPEN_LIST, behavior: OPEN }),
    keda: complete({
      backlogPerReplica: whole(1),
      controller: complete({ service: DNS_LABEL, namespace: DNS_LABEL, port: whole(1, 65_535) }),
      lookAheadSeconds: whole(0, 600),
      pollingIntervalSeconds: whole(1),
      cooldownSeconds: whole(0),
      fallbackReplicas: whole(0),
      behavior: OPEN,
    }),
  }),
  envFrom: OPEN_LIST,
  volumes: OPEN_LIST,
  volumeMounts: OPEN_LIST,
  initContainers: OPEN_LIST,
  serviceAccount: SERVICE_ACCOUNT,
  podDisruptionBudget: complete({
    enabled: FLAG,
    maxUnavailable: { anyOf: [whole(0), matching(/^[0-9]{1,3}%$/)] },
  }),
  strategy: OPEN,
  startupSeconds: whole(2, 3_600),
  runtimeClassName: TEXT,
  networkPolicy: complete({ ...NETWORK, egress: { anyOf: [{ const: 'any' }, OPEN_LIST] } }),
  podMonitor: MONITOR,
  tests: TESTS,
});

export const CHART_SCHEMAS: Readonly<Record<'tidemill' | 'tidemill-worker', SchemaNode>> = {
  tidemill: CONTROLLER,
  'tidemill-worker': WORKER,
};

export function renderSchema(chart: keyof typeof CHART_SCHEMAS): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `Values of the chart ${chart}`,
    ...CHART_SCHEMAS[chart],
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
