/** A small HTTP server for machines: fixed paths, GET and HEAD, JSON errors, and no input that stops it. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { type ErrorCode, TidemillError } from '../runtime/errors.ts';
import { type Log, silentLog } from '../telemetry/log.ts';

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** What a route is told of the request. */
export interface Asked {
  /** The part of the path where the route has a name in braces, as it was sent; empty without one. */
  readonly name: string;
  readonly query: URLSearchParams;
}

/**
 * Path, without query → what answers a GET or HEAD of it. A path may end with a name in braces (`/scale/{queue}`), which
 * stands for one part of any text.
 */
export type Routes = Readonly<Record<string, (asked: Asked) => Promise<Reply> | Reply>>;

export interface HttpOptions {
  readonly host: string;
  /** 0 picks a free one; see `port` of the result. */
  readonly port: number;
  readonly routes: Routes;
  readonly log?: Log;
  readonly clock?: Pick<Clock, 'after'>;
  /** Longest time for all headers of a request to come, ms. Default 5 s. */
  readonly headersTimeoutMs?: number;
  /** Longest time for a whole request to come, ms. Default 10 s. */
  readonly requestTimeoutMs?: number;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
}

/**
 * Not by `import`: that reads every export of `node:http`, and `WebSocket` is one, which loads all of undici. It costs
 * 70 ms of CPU and 13 MB, for nothing that is used here.
 */
const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http');

const MAX_HEADER_BYTES = 8 * 1024;
/** Scrapers and probes need a handful; beyond this the oldest goes, so that idle ones neither cost memory nor keep a probe out. */
const MAX_CONNECTIONS = 256;
const KEEP_ALIVE_MS = 5_000;
/** Node looks for late requests only this often; its default of 30 s would make the time-outs below pointless. */
const TIMEOUT_CHECK_MS = 500;
/** How long answers that are under way may take once the server closes. */
const CLOSE_GRACE_MS = 1_000;

const COMMON_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/**
 * Starts to listen.
 * @throws TidemillError CONFIG_INVALID when the address cannot be bound
 */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, routes, log = silentLog, clock = systemClock } = options;
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: options.headersTimeoutMs ?? 5_000,
      requestTimeout: options.requestTimeoutMs ?? 10_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, options.headersTimeoutMs ?? TIMEOUT_CHECK_MS),
      // We answer a missing Host ourselves, in JSON like every other error.
      requireHostHeader: false,
    },
    (request, response) => void answer(request, response, routes, log),
  );
  boundConnections(server);
  server.on('clientError', refuseGarbage);
  const bound = await listen(server, host, port);
  server.on('error', (err) => log.error('http server failed', { err }));
  return {
    port: bound,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    [Symbol.asyncDispose]: () => close(server, clock),
  };
}

/** Whoever holds all connections open must not make the liveness probe fail: that would restart the process. */
function boundConnections(server: Server): void {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > MAX_CONNECTIONS) oldest?.destroy();
  });
}

/** A reply that holds a JSON value. */
export function jsonReply(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

/** @param code - of ours, where the error has one */
export function errorReply(status: number, message: string, code?: ErrorCode): Reply {
  return jsonReply(status, {
    error: { status, title: STATUS_CODES[status], ...(code !== undefined && { code }), message },
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Routes,
  log: Log,
): Promise<void> {
  // A peer that goes away in mid-answer is its own affair; without a listener it would end the process.
  request.on('error', (err) => log.debug('http request broke off', { err }));
  response.on('error', (err) => log.debug('http response broke off', { err }));
  const reply = await replyTo(request, routes, log);
  if (response.destroyed) return;
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  response.writeHead(reply.status, {
    ...COMMON_HEADERS,
    'content-type': reply.contentType,
    'content-length': Buffer.byteLength(reply.body),
    ...(reply.status === 405 && { allow: 'GET, HEAD' }),
    // Nobody here wants a body: do not read ten megabytes of it to keep a connection.
    ...(hasBody && { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}

async function replyTo(request: IncomingMessage, routes: Routes, log: Log): Promise<Reply> {
  if (request.httpVersion === '1.1' && request.headers.host === undefined) {
    return errorReply(400, 'an HTTP/1.1 request needs a Host header');
  }
  const { path, query } = targetOf(request.url ?? '');
  const { route, name } = findRoute(routes, path);
  if (route === undefined)
    return errorReply(404, `no such path; known are ${Object.keys(routes).join(', ')}`);
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return errorReply(405, 'only GET and HEAD are served here');
  try {
    return await route({ name, query });
  } catch (err) {
    log.error('http handler failed', { path, err });
    return errorReply(500, 'the request could not be answered; the log says why');
  }
}

function findRoute(
  routes: Routes,
  path: string,
): { readonly route: Routes[string] | undefined; readonly name: string } {
  if (Object.hasOwn(routes, path) && !path.endsWith('}')) return { route: routes[path], name: '' };
  const cut = path.lastIndexOf('/') + 1;
  const name = path.slice(cut);
  const pattern = Object.keys(routes).find(
    (known) => known.endsWith('}') && known.slice(0, known.lastIndexOf('/') + 1) === path.slice(0, cut),
  );
  return pattern === undefined || name === '' ? { route: undefined, name } : { route: routes[pattern], name };
}

/** Path and query of origin-form (`/x?y`) and absolute-form (`http://host/x?y`) targets; anything else matches no route. */
function targetOf(target: string): { readonly path: string; readonly query: URLSearchParams } {
  if (!target.startsWith('/')) {
    const url = URL.parse(target);
    return { path: url?.pathname ?? '', query: url?.searchParams ?? new URLSearchParams() };
  }
  const cut = target.indexOf('?');
  if (cut < 0) return { path: target, query: new URLSearchParams() };
  return { path: target.slice(0, cut), query: new URLSearchParams(target.slice(cut + 1)) };
}

const GARBAGE: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, `headers may have at most ${MAX_HEADER_BYTES} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request took too long to arrive'],
};

function refuseGarbage(error: NodeJS.ErrnoException, socket: Duplex): void {
  // ECONNRESET and the like: nobody is there to be answered.
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, message] = GARBAGE[error.code ?? ''] ?? [400, 'this is not an HTTP request'];
  const { contentType, body } = errorReply(status, message);
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'connection: close',
      `content-type: ${contentType}`,
      `content-length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
    () => socket.destroy(),
  );
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: NodeJS.ErrnoException): void => {
      const why =
        cause.code === 'EADDRINUSE'
          ? 'is already in use'
          : `cannot be bound (${cause.code ?? cause.message})`;
      reject(
        new TidemillError(
          'CONFIG_INVALID',
          `HTTP address ${host}:${port} ${why}: choose another port or host, or 0 for a free port`,
          {
            cause,
          },
        ),
      );
    };
    server.once('error', refuse);
    server.listen({ host, port }, () => {
      server.off('error', refuse);
      resolve();
    });
  });
  return addressOf(server)?.port ?? port;
}

function addressOf(server: Server): AddressInfo | undefined {
  const address = server.address();
  return typeof address === 'object' ? (address ?? undefined) : undefined;
}

async function close(server: Server, clock: Pick<Clock, 'after'>): Promise<void> {
  if (!server.listening) return;
  using _force = clock.after(CLOSE_GRACE_MS, () => {
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
