/** What the probes say of the parts of a process. */
import type { Consumer } from '../consumer/consumer.ts';
import type { EngineHealth } from '../controller/engine.ts';
import type { MeasuredBroker } from './measured-broker.ts';

export const liveReasons = (consumer: Consumer): readonly string[] =>
  consumer.live
    ? []
    : ['the event loop stood still, or settlements have had no answer for two leases: restart this process'];

type Connected = Pick<MeasuredBroker, 'connected' | 'refusal'>;

export const readyReasons = (consumer: Consumer, { refusal }: Connected): readonly string[] => [
  ...(consumer.ready
    ? []
    : ['not registered in every queue, Redis does not answer, or the process is on its way out']),
  ...(refusal === undefined ? [] : [refusal]),
];

/** The loop of a queue comes round every second, or after its longest back-off of 5 s: beyond this it hangs. */
const LONGEST_TURN_MS = 60_000;

/** Of a schedule engine that is at work. */
export const hangingReasons = ({ oldestTurnMs }: EngineHealth): readonly string[] =>
  oldestTurnMs > LONGEST_TURN_MS ? ['the loop of a queue hangs: restart this process'] : [];

/** Of a process that fires schedules. */
export const notReadyReasons = (broker: Connected, stopping: AbortSignal): readonly string[] => [
  ...(broker.connected ? [] : ['Redis does not answer']),
  ...(broker.refusal === undefined ? [] : [broker.refusal]),
  ...(stopping.aborted ? ['the process is on its way out'] : []),
];
