/** Runs inside the network namespace of the cluster: `tunnel-inside.ts SOCKET HOST PORT` joins a unix socket to an address. */
import { connect, createServer } from 'node:net';
import { join as joinSockets } from './join-sockets.ts';

const [socketPath = '', host = '', port = ''] = process.argv.slice(2);

const server = createServer((client) => {
  joinSockets(client, connect(Number(port), host));
});
server.listen(socketPath, () => process.stdout.write('listening\n'));
// The test process holds the other end of stdin: when it dies, so does this.
process.stdin.on('end', () => process.exit(0)).resume();
