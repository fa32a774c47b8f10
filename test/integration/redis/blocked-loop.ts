/** A process of its own for heartbeat.test.ts: registers, claims one run, and blocks its event loop for as long as it is told. */
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { until } from '../../support/until.ts';
import { claim, register } from './work.ts';

const [, , url = '', leaseMs = '', stallMs = '', blockMs = ''] = process.argv;

await using broker = await connectRedis({ url });
const queue = broker.queue('default');
await register(queue, 'blocked', { leaseMs: Number(leaseMs) });
let renewals = 0;
await using heartbeat = broker.startHeartbeat({
  ...{
    incarnation: 'blocked',
    queues: ['default'],
    leaseMs: Number(leaseMs),
    renewEveryMs: Number(leaseMs) / 4,
    stallMs: Number(stallMs),
  },
  onCancellations: () => undefined,
  onLeaseGone: () => undefined,
  onRenewal: () => void (renewals += 1),
});
await until('renewals come', () => {
  heartbeat.beat();
  return renewals >= 5;
});
const [run] = await claim(queue, 'blocked', 1);
process.stdout.write('blocking\n');
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(blockMs));
const settle =
  run === undefined ? [] : [{ id: run.record.id, token: run.token, outcome: { kind: 'succeeded' as const } }];
const reply = await queue.work.cycle({ incarnation: 'blocked', settle });
process.stdout.write(`${reply.settled.join()}\n`);
