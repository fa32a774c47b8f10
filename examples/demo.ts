/** The demo: starts the harbour's API, then `tidemill dev` with the example's tasks and schedules, and stops with it. */
import { join } from 'node:path';
import { startHarbourApi } from './harbour/api.ts';
import { runTidemill } from './run-tidemill.ts';

const harbour = join(import.meta.dirname, 'harbour');
const { server, url } = await startHarbourApi(0);
const args = [
  'dev',
  join(harbour, 'schedules'),
  '--tasks',
  join(harbour, 'tasks.ts'),
  ...process.argv.slice(2),
];
process.exitCode = await runTidemill(args, { HARBOUR_API: url });
server.close();
server.closeAllConnections();
