/** Reads single figures from the `/metrics` of a controller. */
import type { Controller } from './controllers.ts';

/**
 * @param labels - those that a series must have, with these values; others may be there
 * @returns the sum of all series that fit; 0 when none does
 */
export async function metricOf(
  { http }: Pick<Controller, 'http'>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const response = await fetch(`${http}/metrics`);
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const lines = (await response.text()).split('\n');
  return lines
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((text) => line.includes(text)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export type SlotOutcome = 'fired' | 'duplicate' | 'skipped' | 'missed' | 'refused';

/** How many slots ended so for this controller. */
export function slotsThat(controller: Controller, ...outcomes: readonly SlotOutcome[]): Promise<number> {
  return Promise.all(
    outcomes.map((outcome) => metricOf(controller, 'tidemill_schedule_fires_total', { outcome })),
  ).then((counts) => counts.reduce((sum, count) => sum + count, 0));
}
