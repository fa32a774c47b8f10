/** Refuses a queue that nobody has used: a mistyped name must not look like an empty queue. */
import type { Broker } from '../broker/broker.ts';
import { TidemillError } from '../runtime/errors.ts';
import { checkQueueName } from '../task/names.ts';
import { didYouMean } from '../task/near-names.ts';

/** @throws TidemillError QUEUE_UNKNOWN, QUEUE_NAME_INVALID */
export async function requireQueue(broker: Broker, name: string): Promise<void> {
  checkQueueName(name);
  const known = await broker.queueNames();
  if (known.includes(name)) return;
  throw new TidemillError(
    'QUEUE_UNKNOWN',
    `no queue ${name} was used yet in this Redis, with this prefix${didYouMean(name, known)}: nothing was changed`,
  );
}
