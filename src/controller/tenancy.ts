/** Which namespaces and tasks each queue takes schedules of: teams share an install and keep out of each other's queues. */
import { z } from 'zod';
import { DEFAULT_QUEUE, isQueueName, isTaskName, QUEUE_NAME_RULE, TASK_NAME_RULE } from '../task/names.ts';
import type { QueuePolicy } from './verdict.ts';

/** Stands alone in a list: everything. */
const ANY = '*';

const names = (isName: (name: string) => boolean, rule: string) =>
  z
    .array(
      z
        .string()
        .refine((name) => name === ANY || isName(name), `must be ${rule}; or "${ANY}" for everything`),
    )
    .min(1, `must name at least one, or be ["${ANY}"] for everything`)
    .refine(
      (list) => list.length === 1 || !list.includes(ANY),
      `"${ANY}" takes everything: it must stand alone`,
    );

const QueueRuleSchema = z.object({
  name: z.string().refine(isQueueName, `must be ${QUEUE_NAME_RULE}`),
  namespaces: names(isQueueName, QUEUE_NAME_RULE),
  tasks: names(isTaskName, TASK_NAME_RULE),
});

/** A queue that is not listed takes nothing. */
export const QueueConfigSchema = z.object({
  queues: z.array(QueueRuleSchema).superRefine((rules, context) => {
    for (const [index, { name }] of rules.entries()) {
      if (rules.findIndex((rule) => rule.name === name) < index)
        context.addIssue({
          code: 'custom',
          path: [index, 'name'],
          message: 'is listed before: put all of its namespaces and tasks into one entry',
        });
    }
  }),
});
export type QueueConfig = z.output<typeof QueueConfigSchema>;

const takes = (list: readonly string[], name: string): boolean => list[0] === ANY || list.includes(name);

/** Refusals name field, queue, and what is to be changed by whom. */
export function queuePolicyOf({ queues }: QueueConfig): QueuePolicy {
  const rules = new Map(queues.map((rule) => [rule.name, rule]));
  return ({ namespace, queue, task }) => {
    const rule = rules.get(queue);
    const subject = `spec.queue: queue "${queue}"`;
    const others = queues
      .filter((other) => takes(other.namespaces, namespace) && takes(other.tasks, task))
      .map(({ name }) => `"${name}"`);
    const advice = (change: string): string =>
      `ask whoever runs the controller to ${change} (--queues-file)` +
      (others.length === 0 ? '' : `; ${others.join(', ')} would take it`);
    if (rule === undefined) return `${subject} takes no schedules: ${advice('list it')}`;
    if (!takes(rule.namespaces, namespace))
      return `${subject} takes no schedules from namespace "${namespace}": ${advice(`add it to the namespaces of "${queue}"`)}`;
    if (!takes(rule.tasks, task))
      return `${subject} takes no schedules of task "${task}": ${advice(`add it to the tasks of "${queue}"`)}`;
    return undefined;
  };
}

/** Where nothing was configured: the default queue, for the controller's own namespace. */
export function defaultQueuePolicy(namespace: string): QueuePolicy {
  return queuePolicyOf({ queues: [{ name: DEFAULT_QUEUE, namespaces: [namespace], tasks: [ANY] }] });
}
