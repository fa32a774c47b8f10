/** The settings of all commands: flag, variable, default, rule. `docs/reference/configuration.md` is made from these. */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { DEFAULT_LEASE_MS, DEFAULT_QUEUE_SETTINGS } from '../broker/broker.ts';
import { optionalSetting, type Rule, rule, textSetting } from '../runtime/config.ts';
import { formatDuration } from '../schedule/duration.ts';
import { DEFAULT_QUEUE, QUEUE_NAME_RULE } from '../task/names.ts';
import { LOG_LEVELS } from '../telemetry/log.ts';
import { CHILD_RULES, CHILDREN } from './child-settings.ts';
import {
  KUBE,
  leaseName,
  leaseNamespace,
  PluginSettings,
  RbacSettings,
  watchNamespaces,
} from './kube-settings.ts';
import { OPTIONAL_REDIS, REDIS, REDIS_RULES } from './redis-settings.ts';
import { bytes, duration, integer, NAME_RULE, nameText, nonEmptyList, queueList } from './setting-kinds.ts';

// ------------------------------------------------------------------------------------------------ settings

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const logLevel = textSetting(
  {
    flag: 'log-level',
    argument: 'level',
    help: `least severe level that is logged: ${LOG_LEVELS.join(', ')}`,
    default: 'info',
  },
  `must be one of ${LOG_LEVELS.join(', ')}`,
  (text) => LOG_LEVELS.find((level) => level === text),
);
const TASKS = [
  {
    flag: 'tasks',
    argument: 'path',
    help: 'module that exports the tasks; several by commas or by repeating the flag',
    list: true,
  },
  'must be the path of a module, or several separated by commas',
  nonEmptyList,
] as const;
const tasks = textSetting(...TASKS);
const optionalTasks = optionalSetting(...TASKS);
const queuesTo = (help: string) =>
  textSetting(
    {
      flag: 'queue',
      argument: 'name',
      help: `${help}; several by commas or by repeating the flag`,
      default: DEFAULT_QUEUE,
      list: true,
    },
    `must be ${QUEUE_NAME_RULE}; or several such names separated by commas`,
    queueList,
  );
const queues = queuesTo('queue to work on');
const noopQueues = queuesTo('queue in which --run-noop runs the noop');
const QUEUE = { flag: 'queue', argument: 'name' };
const QUEUE_RULE = `must be ${QUEUE_NAME_RULE}`;
const queuesFileOr = (defaultNote: string) =>
  optionalSetting(
    {
      flag: 'queues-file',
      argument: 'path',
      help: 'YAML file that says which namespaces and tasks each queue takes schedules of; read again when it changes',
      defaultNote,
    },
    'must be the path of a file',
    (text) => (text === '' ? undefined : text),
  );
const queue = textSetting({ ...QUEUE, help: 'queue to use', default: DEFAULT_QUEUE }, QUEUE_RULE, nameText);
const optionalQueue = optionalSetting(
  { ...QUEUE, help: 'only this queue', defaultNote: 'all, or the one that a run id names' },
  QUEUE_RULE,
  nameText,
);
const namespace = textSetting(
  {
    flag: 'namespace',
    argument: 'name',
    help: 'namespace of schedules that name none: those in code, and objects in files without one',
    default: 'default',
  },
  NAME_RULE,
  nameText,
);
const install = textSetting(
  {
    flag: 'install',
    argument: 'name',
    help: 'names this set of schedules: what another install put into Redis is left alone',
    default: 'default',
  },
  NAME_RULE,
  nameText,
);
const httpHostOf = (fallback: string) =>
  textSetting(
    {
      flag: 'http-host',
      argument: 'address',
      help: 'address on which probes and /metrics are served',
      default: fallback,
    },
    'must be an IP address or host name',
    (text) => (/^[A-Za-z0-9.:_-]{1,253}$/.test(text) ? text : undefined),
  );
const httpHost = httpHostOf('0.0.0.0');
const httpPort = integer(
  {
    flag: 'http-port',
    argument: 'port',
    help: 'port on which probes and /metrics are served; 0 picks a free one',
    default: '9464',
  },
  0,
  65_535,
);
const concurrency = integer(
  { flag: 'concurrency', argument: 'n', help: 'IO-bound runs at the same time', default: '100' },
  1,
  10_000,
);
const cpuConcurrency = integer(
  {
    flag: 'cpu-concurrency',
    argument: 'n',
    help: 'CPU-bound runs at the same time, each in a process of its own',
    default: String(availableParallelism()),
    defaultNote: 'number of cores',
  },
  0,
  256,
);
const lease = duration(
  {
    flag: 'lease',
    argument: 'duration',
    help: 'how long a consumer that shows no sign of life keeps its runs',
    default: formatDuration(DEFAULT_LEASE_MS),
  },
  1_000,
  10 * 60_000,
);
const heartbeat = duration(
  { flag: 'heartbeat', argument: 'duration', help: 'how often the lease is renewed', default: '2s500ms' },
  100,
  5 * 60_000,
);
const drainOf = (help: string, fallback: string) =>
  duration({ flag: 'drain', argument: 'duration', help, default: fallback }, 0, 24 * HOUR_MS);
const drain = drainOf(
  'how long runs may go on after SIGTERM; in Kubernetes, terminationGracePeriodSeconds less 15 s',
  '25s',
);
const killGrace = duration(
  {
    flag: 'kill-grace',
    argument: 'duration',
    help: 'how long a run may take to end after its signal aborted, before its process is killed',
    default: '5s',
  },
  0,
  10 * 60_000,
);

const retained = (flag: string, help: string, ms: number) =>
  duration({ flag, argument: 'duration', help, default: formatDuration(ms) }, 0, 10 * 365 * DAY_MS);
const budget = (flag: string, help: string, size: number) =>
  bytes({ flag, argument: 'bytes', help, default: `${size / 1_024 ** 2}MiB` });
const count = (flag: string, help: string, fallback: number, max: number) =>
  integer({ flag, argument: 'n', help, default: String(fallback) }, 1, max);

/** What a queue keeps and how much may wait in it. */
const QUEUE_LIMITS = {
  retainSucceeded: retained(
    'retain-succeeded',
    'how long succeeded, cancelled and expired runs are kept',
    DEFAULT_QUEUE_SETTINGS.retainSucceededMs,
  ),
  retainSucceededBytes: budget(
    'retain-succeeded-bytes',
    'how much of them is kept',
    DEFAULT_QUEUE_SETTINGS.retainSucceededBytes,
  ),
  retainFailed: retained(
    'retain-failed',
    'how long failed runs are kept',
    DEFAULT_QUEUE_SETTINGS.retainFailedMs,
  ),
  retainFailedBytes: budget(
    'retain-failed-bytes',
    'how much of them is kept',
    DEFAULT_QUEUE_SETTINGS.retainFailedBytes,
  ),
  maxPending: count(
    'max-pending',
    'runs that may wait in a queue; beyond, enqueue refuses',
    DEFAULT_QUEUE_SETTINGS.maxPending,
    1_000_000_000,
  ),
  maxPendingPerSchedule: count(
    'max-pending-per-schedule',
    'runs of one schedule that may wait; beyond, its slots are skipped',
    DEFAULT_QUEUE_SETTINGS.maxPendingPerSchedule,
    1_000_000_000,
  ),
  maxDeliveries: count(
    'max-deliveries',
    'processes that a run may end before it is given up',
    DEFAULT_QUEUE_SETTINGS.maxDeliveries,
    100,
  ),
};

// ------------------------------------------------------------------------------------------------ commands

/** What a process that executes runs may be told. */
const WORK = { concurrency, cpuConcurrency, drain, killGrace, ...CHILDREN };
export type WorkSettings = z.output<z.ZodObject<typeof WORK>>;

export const NoSettings = z.object({});
export const DevSettings = z.object({
  tasks,
  ...WORK,
  drain: drainOf('how long runs may go on after Ctrl-C', '3s'),
  namespace,
  httpHost: httpHostOf('127.0.0.1'),
  httpPort,
  logLevel,
});
export const ConsumerSettings = z.object({
  tasks,
  queues,
  ...REDIS,
  ...WORK,
  lease,
  heartbeat,
  ...QUEUE_LIMITS,
  httpHost,
  httpPort,
  logLevel,
});
export const SchedulerSettings = z.object({
  tasks: optionalTasks,
  ...REDIS,
  namespace,
  install,
  queuesFile: queuesFileOr('every queue takes all'),
  httpHost,
  httpPort,
  logLevel,
});
export const ControllerSettings = z.object({
  ...REDIS,
  ...KUBE,
  watchNamespaces,
  leaseName,
  leaseNamespace,
  install,
  queuesFile: queuesFileOr(
    'the queue default takes those of the namespace of the controller, no other takes any',
  ),
  httpHost,
  httpPort,
  logLevel,
});
export const RunSettings = z.object({ ...OPTIONAL_REDIS, queue, tasks: optionalTasks });
/** For commands that look at, or switch, what is in Redis. */
export const InspectSettings = z.object({ ...REDIS, queue: optionalQueue });
export const QueuesSettings = z.object(REDIS);
export const ScheduleSettings = z.object({ ...REDIS, install });
export const WhySettings = z.object({ ...REDIS, install, namespace });
export const RedisAclSettings = z.object({
  prefix: REDIS.prefix,
  queue: optionalSetting(
    { ...QUEUE, help: 'the only queue whose keys they may touch', defaultNote: 'all queues' },
    QUEUE_RULE,
    nameText,
  ),
});
export const ExportSettings = z.object({ tasks });
export const NextSettings = z.object({ ...OPTIONAL_REDIS, install, namespace });
export const DoctorSettings = z.object({
  ...OPTIONAL_REDIS,
  install,
  tasks: optionalTasks,
  queues: noopQueues,
  ...KUBE,
  leaseName,
  leaseNamespace,
});

/** A lease that outlives less than two renewals is lost to one slow reply. */
export const CONSUMER_RULES: readonly Rule[] = [
  ...REDIS_RULES,
  ...CHILD_RULES,
  rule('heartbeat', z.object({ lease, heartbeat }), (values) =>
    values.heartbeat * 2 > values.lease
      ? `${formatDuration(values.heartbeat)} must be at most half of --lease (${formatDuration(values.lease)}), or one slow reply loses the lease`
      : undefined,
  ),
];

/** By command, for the reference page and for the variables that are known. */
export const COMMAND_SETTINGS: Readonly<Record<string, z.ZodObject>> = {
  dev: DevSettings,
  consumer: ConsumerSettings,
  scheduler: SchedulerSettings,
  controller: ControllerSettings,
  rbac: RbacSettings,
  'redis-acl': RedisAclSettings,
  run: RunSettings,
  runs: InspectSettings,
  queues: QueuesSettings,
  tasks: InspectSettings,
  'schedules ls': ScheduleSettings,
  'schedules next': NextSettings,
  'schedules why': WhySettings,
  'schedules trigger': WhySettings,
  'schedules export': ExportSettings,
  doctor: DoctorSettings,
  'kubectl tidemill': PluginSettings,
};
