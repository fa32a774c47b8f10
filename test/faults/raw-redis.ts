/** A plain client, for what a row reads or edits behind the back of Tidemill. It ends with the scope that opened it. */
import { Redis } from 'ioredis';

export class RawRedis implements Disposable {
  readonly client: Redis;

  constructor(port: number) {
    this.client = new Redis(port, { maxRetriesPerRequest: 1 });
    // A server that was killed is told of by the command that wanted it.
    this.client.on('error', () => undefined);
  }

  [Symbol.dispose](): void {
    this.client.disconnect();
  }
}
