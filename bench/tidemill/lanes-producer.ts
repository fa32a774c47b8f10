/** A process that fills a queue of ours with runs of many tasks in turn: `BENCH_LANES` of them. */
import { connect } from 'tidemill/client';
import { produce, redisUrl } from '../lib/bulk-producer.ts';
import { type Lane, laneName } from './lane.ts';

const lanes = Number(process.env['BENCH_LANES'] ?? 1);
await using client = await connect(redisUrl());
await produce({
  // The client puts what is sent in one turn into as few calls as it can.
  send: (jobs) =>
    Promise.all(jobs.map((params) => client.enqueue<Lane>(laneName(params.id % lanes), params))),
  batch: 1_000,
  depth: 2,
});
