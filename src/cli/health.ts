/** What the probes say of the parts of a process. */
import type { Consumer } from '../consumer/consumer.ts';

export const liveReasons = (consumer: Consumer): readonly string[] =>
  consumer.live
    ? []
    : ['the event loop stood still, or settlements have had no answer for two leases: restart this process'];

export const readyReasons = (consumer: Consumer): readonly string[] =>
  consumer.ready
    ? []
    : ['not registered in every queue, Redis does not answer, or the process is on its way out'];
