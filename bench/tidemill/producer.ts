/** A process that fills a queue of ours, as any program would: through `tidemill/client`. */
import { connect } from 'tidemill/client';
import { produce, redisUrl } from '../lib/bulk-producer.ts';
import { noop } from './noop.ts';

await using client = await connect(redisUrl());
await produce({
  send: (jobs) =>
    client.enqueueMany(
      noop,
      jobs.map((params) => ({ params })),
    ),
  batch: 1_000,
  depth: 2,
});
