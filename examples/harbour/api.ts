/** The outside world of the example: a harbour authority's HTTP API, slow in one place, flaky in another, strict in a third. */
import { createServer, type Server, type ServerResponse } from 'node:http';

const STATIONS = ['north-pier', 'lock-gate', 'outer-buoy'];
/** The archive answers 429 when asked for more at once: `archive-station` must stay below it. */
const ARCHIVE_LIMIT = 2;
const ARCHIVE_MS = 400;
const READINGS = 288;
const MINUTES_BETWEEN_READINGS = 5;

/** Water level in cm: the two strongest tides of a station, and a little noise. */
function levelAt(minute: number, phase: number): number {
  const lunar = 180 * Math.cos((2 * Math.PI * minute) / 745 + phase);
  const solar = 60 * Math.cos((2 * Math.PI * minute) / 720 + phase / 2);
  return Math.round(300 + lunar + solar + 6 * Math.random());
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Starts the API on a loopback port (0: any free one). Close it with `server.close()`. */
export function startHarbourApi(port: number): Promise<{ server: Server; url: string }> {
  let alerts = 0;
  let archiving = 0;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://harbour');
    const [, place, station = ''] = pathname.split('/');
    request.resume();
    if (request.method === 'POST' && place === 'alerts') {
      alerts += 1;
      if (alerts % 3 === 0) reply(response, 202, { accepted: true });
      else reply(response, 503, { error: 'the siren is warming up' });
    } else if (!STATIONS.includes(station)) {
      reply(response, 404, { error: `no station ${station}`, stations: STATIONS });
    } else if (place === 'readings') {
      const phase = STATIONS.indexOf(station);
      const start = Math.floor(Date.now() / 60_000);
      const levels = Array.from({ length: READINGS }, (_, index) =>
        levelAt(start + (index - READINGS) * MINUTES_BETWEEN_READINGS, phase),
      );
      reply(response, 200, { station, minutesBetween: MINUTES_BETWEEN_READINGS, levels });
    } else if (place === 'archive' && archiving >= ARCHIVE_LIMIT) {
      reply(response, 429, { error: `more than ${ARCHIVE_LIMIT} archive calls at once` });
    } else if (place === 'archive') {
      archiving += 1;
      setTimeout(() => {
        archiving -= 1;
        reply(response, 200, { station, archived: READINGS });
      }, ARCHIVE_MS);
    } else {
      reply(response, 404, { error: `no place ${String(place)}` });
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const boundPort = typeof address === 'object' && address !== null ? address.port : port;
      resolve({ server, url: `http://127.0.0.1:${boundPort}` });
    });
  });
}
