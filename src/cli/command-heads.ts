/**
 * What `tidemill --help` says of each command, apart from all that the command needs: settings, libraries and its work are
 * loaded when it is called. The commands take their names from here too.
 */

export interface CommandHead {
  readonly name: string;
  readonly summary: string;
  /** As commander wants them: `<task>`, `[manifests...]`, with their help. */
  readonly args?: readonly (readonly [syntax: string, help: string])[];
  /** It only holds other commands: no arguments and no options of its own. */
  readonly isGroup?: boolean;
}

const MANIFESTS = '[manifests...]';
const MANIFESTS_HELP = 'ScheduledTask YAML files, or folders of them';

export const HEADS = {
  init: {
    name: 'init',
    summary: 'write a worker project into an empty folder',
    args: [['[folder]', 'where (default: the current folder)']],
  },
  dev: {
    name: 'dev',
    summary: 'run schedules and tasks in this process, without Redis and cluster',
    args: [[MANIFESTS, MANIFESTS_HELP]],
  },
  consumer: {
    name: 'consumer',
    summary: 'run the tasks of a module: claim runs from Redis until told to stop',
  },
  scheduler: {
    name: 'scheduler',
    summary: 'fire schedules from files and code into Redis',
    args: [[MANIFESTS, MANIFESTS_HELP]],
  },
  controller: {
    name: 'controller',
    summary: 'fire the ScheduledTask objects of a Kubernetes cluster into Redis',
  },
  run: { name: 'run', summary: 'start one run of a task', args: [['<task>', 'name of the task']] },
  runs: { name: 'runs', summary: 'find, cancel and redrive runs', isGroup: true },
  queues: { name: 'queues', summary: 'look at queues; pause, resume and empty them', isGroup: true },
  tasks: { name: 'tasks', summary: 'look at tasks, pause and resume them', isGroup: true },
  schedules: {
    name: 'schedules',
    summary: 'see when schedules fire, why they did or did not, and run one now',
    isGroup: true,
  },
  crd: { name: 'crd', summary: 'print the CustomResourceDefinition of ScheduledTask' },
  rbac: { name: 'rbac', summary: 'print the service account and the rights that a controller needs' },
  redisAcl: {
    name: 'redis-acl',
    summary: 'print the Redis users that an install needs, each with its rights',
  },
  doctor: {
    name: 'doctor',
    summary: 'check Redis, consumers, the cluster, tasks and manifests, and say what is wrong',
    args: [[MANIFESTS, 'YAML files or folders to be checked']],
  },
} as const satisfies Readonly<Record<string, CommandHead>>;

/** A summary as the first sentence of a description. */
export function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}
