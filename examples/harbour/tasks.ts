/** The tasks of the harbour: what a team packs into its worker image. */
import { defineApp, every, NonRetryableError } from 'tidemill';
import { z } from 'zod';
import * as contracts from './contracts.ts';
import { HarbourClient } from './harbour-client.ts';
import { forecastTide } from './tide.ts';

/** Above this the harbour sounds its siren. */
const ALERT_CM = 420;

export const app = defineApp({
  // Opened once per process (and once per child process), closed at its end.
  deps: () => ({ harbour: new HarbourClient(process.env['HARBOUR_API'] ?? 'http://127.0.0.1:4710') }),
});

/** IO-bound: waits for the network, and hands the heavy part on. */
export const fetchReadings = app.defineTask({
  contract: contracts.fetchReadings,
  description: 'Fetches the water levels of a station and has them forecast',
  tags: ['tides'],
  retry: { attempts: 3, backoff: '1s' },
  timeout: '10s',
  async run({ params, signal, deps, enqueue, log }) {
    const readings = await deps.harbour.readings(params.station, signal);
    log.info('readings fetched', { station: params.station, count: readings.levels.length });
    const { id } = await enqueue(contracts.forecast, readings);
    return { forecastRun: id };
  },
});

/** CPU-bound: may block for as long as it likes, it has a process of its own. */
export const forecast = app.defineTask({
  contract: contracts.forecast,
  description: 'Fits the tides of a station and looks a day ahead',
  tags: ['tides'],
  cpuBound: true,
  timeout: '1m',
  async run({ params, enqueue, log }) {
    const result = forecastTide(params.levels, params.minutesBetween);
    log.info('forecast made', { station: params.station, highWaterCm: result.highWaterCm });
    if (result.highWaterCm > ALERT_CM)
      await enqueue(contracts.sendAlert, { station: params.station, highWaterCm: result.highWaterCm });
    return result;
  },
});

/** Fails two times out of three, and gets there in the end. */
export const sendAlert = app.defineTask({
  contract: contracts.sendAlert,
  description: 'Sounds the siren; its controller is often still warming up',
  priority: 'high',
  retry: { attempts: 5, backoff: '500ms', maxBackoff: '3s' },
  async run({ params, signal, deps }) {
    await deps.harbour.alert(params.station, params.highWaterCm, signal);
  },
});

/** At most two at once, over all consumers: the archive refuses a third. */
export const archiveStation = app.defineTask({
  name: 'archive-station',
  description: 'Moves a station’s readings to the archive',
  maxConcurrency: 2,
  params: z.object({ station: contracts.Station }),
  async run({ params, signal, deps }) {
    return deps.harbour.archive(params.station, signal);
  },
});

/** Ends as failed at once: no retry can mend a station that does not exist. */
export const inspectLight = app.defineTask({
  name: 'inspect-light',
  description: 'Checks a harbour light; the one on the mole was taken down last year',
  retry: { attempts: 3 },
  params: z.object({ light: z.string() }),
  run({ params }) {
    if (params.light === 'mole')
      throw new NonRetryableError('the light on the mole was taken down: remove its schedule');
    return { light: params.light, lit: true };
  },
});

/** A schedule in code: in force in `dev` and `scheduler`; in a cluster the objects are the only truth. */
export const heartbeat = app.defineTask({
  name: 'heartbeat',
  description: 'Says that the harbour office is open',
  schedule: every('5s'),
  run({ log, run }) {
    log.debug('harbour office open', { slot: run.slot?.toISOString() });
  },
});
