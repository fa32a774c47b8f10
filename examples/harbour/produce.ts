/** A producer: any Node program that wants a run. `node examples/harbour/produce.ts redis://127.0.0.1:6379` */
import { connect } from 'tidemill/client';
import * as contracts from './contracts.ts';

await using tidemill = await connect(process.argv[2] ?? 'redis://127.0.0.1:6379');

const { id, outcome } = await tidemill.enqueue(contracts.fetchReadings, { station: 'outer-buoy' });
console.log(`${outcome} ${id}`);

const { forecastRun } = await tidemill.enqueueAndWait(
  contracts.fetchReadings,
  { station: 'north-pier' },
  { timeout: '30s' },
);
console.log(`readings fetched; their forecast is run ${forecastRun}`);
