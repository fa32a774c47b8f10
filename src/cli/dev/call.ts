/** A call of `tidemill dev`, everything parsed. */
import { z } from 'zod';
import type { Call } from '../command.ts';
import type { DevSettings } from '../settings.ts';

export const DevOptions = z.object({ watch: z.boolean().default(true) });
export type DevCall = Call<typeof DevSettings, typeof DevOptions>;
