/** What producers may know of the tasks: names, params and results, without the implementation. */
import { defineContract } from 'tidemill';
import { z } from 'zod';

export const Station = z.enum(['north-pier', 'lock-gate', 'outer-buoy']);

export const fetchReadings = defineContract({
  name: 'fetch-readings',
  params: z.object({ station: Station }),
  result: z.object({ forecastRun: z.string() }),
});

export const forecast = defineContract({
  name: 'forecast-tide',
  params: z.object({
    station: Station,
    minutesBetween: z.number().positive(),
    levels: z.array(z.number()).min(1).max(10_000),
  }),
});

export const sendAlert = defineContract({
  name: 'send-alert',
  params: z.object({ station: Station, highWaterCm: z.number() }),
});
