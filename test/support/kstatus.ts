/** What tools such as Helm, Flux and kpt make of an object: the rules of kstatus, for kinds that it does not know. */
import type { ScheduledTask } from '../../src/resource/scheduled-task.ts';

export type KStatus = 'InProgress' | 'Failed' | 'Current';

export function kstatusOf({ metadata, status }: ScheduledTask): KStatus {
  const is = (type: string, value: string): boolean =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === value) ?? false;
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation)
    return 'InProgress';
  if (is('Reconciling', 'True')) return 'InProgress';
  if (is('Stalled', 'True')) return 'Failed';
  if (is('Ready', 'False') || is('Ready', 'Unknown')) return 'InProgress';
  return 'Current';
}
