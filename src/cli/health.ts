/** What the probes say of the parts of a process. */
import type { Broker } from '../broker/broker.ts';
import type { Consumer } from '../consumer/consumer.ts';
import type { EngineHealth } from '../controller/engine.ts';

export const liveReasons = (consumer: Consumer): readonly string[] =>
  consumer.live
    ? []
    : ['the event loop stood still, or settlements have had no answer for two leases: restart this process'];

export const readyReasons = (consumer: Consumer): readonly string[] =>
  consumer.ready
    ? []
    : ['not registered in every queue, Redis does not answer, or the process is on its way out'];

/** The loop of a queue comes round every second, or after its longest back-off of 5 s: beyond this it hangs. */
const LONGEST_TURN_MS = 60_000;

/** Of a schedule engine that is at work. */
export const hangingReasons = ({ oldestTurnMs }: EngineHealth): readonly string[] =>
  oldestTurnMs > LONGEST_TURN_MS ? ['the loop of a queue hangs: restart this process'] : [];

/** Of a process that fires schedules. */
export const notReadyReasons = (broker: Broker, stopping: AbortSignal): readonly string[] => [
  ...(broker.connected ? [] : ['Redis does not answer']),
  ...(stopping.aborted ? ['the process is on its way out'] : []),
];
