/** `tidemill doctor`: whether what waits in the queues has somebody to do it. */
import type { Broker } from '../../broker/broker.ts';
import { readQueueState, reasonsToWait } from '../why-runs-wait.ts';
import type { Finding } from './finding.ts';

/** One finding that names the queues, and a warning for each reason why runs wait in vain. */
export async function queueFindings(broker: Broker, names: readonly string[]): Promise<readonly Finding[]> {
  const states = await Promise.all(names.map((name) => readQueueState(broker.queue(name))));
  return [
    { check: 'queues', result: 'ok', message: names.length === 0 ? 'none was used yet' : names.join(', ') },
    ...states
      .flatMap(reasonsToWait)
      .map((message): Finding => ({ check: 'queues', result: 'warning', message })),
  ];
}
