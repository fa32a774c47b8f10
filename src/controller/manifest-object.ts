/** A `ScheduledTask` as a file or code gives it: no uid and no generation yet. */
import type { ParsedObject } from '../resource/manifest.ts';

export type ManifestObject = ParsedObject;
