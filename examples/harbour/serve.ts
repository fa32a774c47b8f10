/** The harbour's API and a consumer of its tasks, on Redis: `node examples/harbour/serve.ts redis://127.0.0.1:6379` */
import { join } from 'node:path';
import { runTidemill } from '../run-tidemill.ts';
import { startHarbourApi } from './api.ts';

const { server, url } = await startHarbourApi(0);
const redis = process.argv[2] ?? 'redis://127.0.0.1:6379';
const args = [
  'consumer',
  '--tasks',
  join(import.meta.dirname, 'tasks.ts'),
  '--redis',
  redis,
  '--http-port',
  '0',
];
process.exitCode = await runTidemill(args, { HARBOUR_API: url });
server.close();
server.closeAllConnections();
