/** The harbour's API as the tasks see it. */
import { z } from 'zod';
import { Station } from './contracts.ts';

const Readings = z.object({ station: Station, minutesBetween: z.number(), levels: z.array(z.number()) });
const Archived = z.object({ station: Station, archived: z.number() });

export class HarbourClient {
  readonly #baseUrl: string;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  async readings(station: string, signal: AbortSignal): Promise<z.output<typeof Readings>> {
    return Readings.parse(await this.#call('GET', `/readings/${station}`, signal));
  }

  async archive(station: string, signal: AbortSignal): Promise<z.output<typeof Archived>> {
    return Archived.parse(await this.#call('GET', `/archive/${station}`, signal));
  }

  async alert(station: string, highWaterCm: number, signal: AbortSignal): Promise<void> {
    await this.#call('POST', `/alerts/${station}`, signal, { highWaterCm });
  }

  async #call(method: string, path: string, signal: AbortSignal, body?: unknown): Promise<unknown> {
    const response = await fetch(this.#baseUrl + path, {
      method,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
}
