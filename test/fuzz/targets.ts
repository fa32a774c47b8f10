/** The parsers that read what strangers wrote. */
import { cronTarget } from './cron.ts';
import { durationTarget } from './duration.ts';
import { manifestTarget } from './manifest.ts';
import { queueEntryTarget } from './queue-entry.ts';
import type { FuzzTarget } from './target.ts';

export const TARGETS: readonly FuzzTarget[] = [cronTarget, durationTarget, queueEntryTarget, manifestTarget];
