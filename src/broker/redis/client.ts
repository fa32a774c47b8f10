/** How Redis is reached: the settings as a user gives them, and the ioredis client that each purpose needs. */
import { Cluster, Redis, type ClusterOptions, type RedisOptions } from 'ioredis';
import { systemClock } from '../../runtime/clock.ts';
import { TidemillError } from '../../runtime/errors.ts';
import { DEFAULT_PREFIX } from './keys.ts';
import { isReplyError } from './reply-errors.ts';

/** Where Redis is and how to log in. Plain data: it is also handed to the heartbeat's thread. */
export interface RedisAddress {
  /** `redis://` or `rediss://` (TLS), with user, password and database where needed. */
  readonly url: string;
  /** Override what the URL says, so that a password need not stand in it. */
  readonly username?: string;
  readonly password?: string;
  /** PEM of the authority that signed the server's certificate; `rediss://` only. Default: the system's. */
  readonly tlsCa?: string;
  /** Sentinels as `host:port`, and the name of the master they watch; host and port of the URL are then ignored. */
  readonly sentinels?: {
    readonly name: string;
    readonly nodes: readonly string[];
    readonly password?: string;
  };
  /** The server is a node of a Redis Cluster. */
  readonly cluster?: boolean;
  /** What all keys begin with. Default `tidemill`. */
  readonly prefix?: string;
}

/** Replies are mapped as by default, which is all that our code reads. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

export type RedisClient = Redis | Cluster;

/**
 * - `calls`: short calls; what is sent when the socket dies is not sent again, and nothing queues in the client
 * - `waits`: the same for calls that wait on the server
 * - `blocking`: reads that wait on the server; they change nothing, so they are sent again after a reconnect
 */
export type ClientRole = 'calls' | 'waits' | 'blocking';

const CONNECT_TIMEOUT_MS = 4_000;
/** A read that blocks for 5 s at most is answered long before; without this a half-open socket would be trusted for ever. */
const BLOCKING_SOCKET_TIMEOUT_MS = 10_000;
const MAX_RECONNECT_DELAY_MS = 1_000;

/** Quick at first, because most interruptions are short, and with jitter, because every client lost the server at once. */
export function reconnectDelayMs(attempt: number): number {
  const ceiling = Math.min(50 * 2 ** Math.min(attempt - 1, 10), MAX_RECONNECT_DELAY_MS);
  return Math.round(ceiling / 2 + Math.random() * (ceiling / 2));
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
}

/** @throws TidemillError CONFIG_INVALID */
function parseUrl(address: RedisAddress): Endpoint {
  const url = URL.canParse(address.url) ? new URL(address.url) : undefined;
  if (url === undefined || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '') {
    // The text may hold a password, so it is not repeated.
    throw new TidemillError(
      'CONFIG_INVALID',
      'the Redis URL must look like redis://host:6379/0, or rediss:// for TLS',
    );
  }
  const db = url.pathname.length > 1 ? Number(url.pathname.slice(1)) : 0;
  if (!Number.isInteger(db) || db < 0)
    throw new TidemillError('CONFIG_INVALID', 'the path of the Redis URL must be a database number');
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 6379 : Number(url.port),
    db,
    username: address.username ?? (url.username === '' ? undefined : decodeURIComponent(url.username)),
    password: address.password ?? (url.password === '' ? undefined : decodeURIComponent(url.password)),
    tls: url.protocol === 'rediss:',
  };
}

/** Where this Redis is and what our keys begin with, without a password: for logs and messages. */
export function describeAddress(address: RedisAddress): string {
  const prefix = address.prefix ?? DEFAULT_PREFIX;
  return `${describePlace(address)} prefix ${prefix}${address.cluster === true ? ' (cluster)' : ''}`;
}

/** Where this Redis is, as a URL without a password. */
export function describePlace(address: RedisAddress): string {
  const { host, port, db, username, password, tls } = parseUrl(address);
  const login =
    username === undefined && password === undefined
      ? ''
      : `${username ?? ''}${password === undefined ? '' : ':***'}@`;
  const scheme = tls ? 'rediss' : 'redis';
  const place =
    address.sentinels === undefined
      ? `${host}:${port}`
      : `${address.sentinels.name}(${address.sentinels.nodes.join(',')})`;
  return `${scheme}://${login}${place}/${db}`;
}

const ignore = (): void => undefined;

/** There is none before the first connection, whatever its type says. */
const socketOf = (client: Redis): Redis['stream'] | undefined => client.stream;

/**
 * ioredis listens to the first error of a socket. A TLS handshake may fail twice, by our verdict on the certificate and by
 * the server's alert about how we hung up, and an error that nobody listens to ends the process.
 */
function heedLaterErrors(client: Redis): void {
  const heed = (): void => {
    const socket = socketOf(client);
    // While the sentinels are away this is the old socket, at each attempt.
    if (socket?.listeners('error').includes(ignore) === false) socket.on('error', ignore);
  };
  // The socket is made in the tick after this event, and has heard nothing yet when that is over.
  client.on('connecting', () => setImmediate(heed));
  // Behind Sentinel it is made later.
  client.on('error', heed);
}

/**
 * ioredis gives up for ever when it is told to connect anew while it still asks the sentinels for the master: that is what a
 * failover does to it when it is told of one at that moment. Nobody but its owner may end a client, so this one begins again.
 */
class LastingRedis extends Redis {
  #isDisposed = false;
  #revivals = 0;

  constructor(options: ClientOptions) {
    super(options);
    heedLaterErrors(this);
    this.on('ready', () => (this.#revivals = 0));
    this.on('end', () => {
      if (this.#isDisposed) return;
      this.#revivals += 1;
      systemClock.after(reconnectDelayMs(this.#revivals), () => this.#revive());
    });
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.#isDisposed = true;
    super.disconnect(reconnect);
  }

  /** ioredis goes on with database 0 where the server does not have the one that was asked for: that is another queue. */
  override select(...args: Parameters<Redis['select']>): Promise<'OK'> {
    const selected = super.select(...args);
    selected.catch((error: unknown) => {
      if (isReplyError(error)) this.disconnect(true);
    });
    return selected;
  }

  #revive(): void {
    // What fails is told by 'error', and ends in 'end' again.
    if (!this.#isDisposed && this.status === 'end') this.connect().catch(() => undefined);
  }
}

/** A client that connects by itself and again after every interruption. It is not connected yet. */
export function createClient(address: RedisAddress, role: ClientRole): RedisClient {
  const endpoint = parseUrl(address);
  const options = clientOptions(address, endpoint, role);
  const client =
    address.cluster === true ? createCluster(endpoint, options, role) : new LastingRedis(options);
  // Without a listener the first refused connection would end the process; whoever waits hears of it from its own call.
  client.on('error', () => undefined);
  return client;
}

function clientOptions(address: RedisAddress, endpoint: Endpoint, role: ClientRole): ClientOptions {
  const { host, port, db, username, password, tls } = endpoint;
  return {
    ...(address.sentinels === undefined ? { host, port } : sentinelOptions(address.sentinels)),
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: address.tlsCa === undefined ? {} : { ca: address.tlsCa } } : {}),
    connectTimeout: CONNECT_TIMEOUT_MS,
    protocol: 2,
    retryStrategy: reconnectDelayMs,
    // After a failover the old master answers READONLY: connect again, and let the caller decide what to send again.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...OPTIONS_OF_ROLE[role],
  };
}

const CALL_OPTIONS: ClientOptions = {
  // A second net under Connection, which ends every call sooner; this one also ends the handshake with a frozen server.
  commandTimeout: 5_000,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 1,
};

const BLOCKING_OPTIONS: ClientOptions = {
  socketTimeout: BLOCKING_SOCKET_TIMEOUT_MS,
  enableOfflineQueue: true,
  autoResendUnfulfilledCommands: true,
  maxRetriesPerRequest: null,
};

const OPTIONS_OF_ROLE: Readonly<Record<ClientRole, ClientOptions>> = {
  calls: CALL_OPTIONS,
  waits: { ...CALL_OPTIONS, commandTimeout: BLOCKING_SOCKET_TIMEOUT_MS },
  blocking: BLOCKING_OPTIONS,
};

function sentinelOptions({ name, nodes, password }: NonNullable<RedisAddress['sentinels']>): ClientOptions {
  const sentinels = nodes.map((node) => {
    const colon = node.lastIndexOf(':');
    return colon < 0
      ? { host: node, port: 26_379 }
      : { host: node.slice(0, colon), port: Number(node.slice(colon + 1)) };
  });
  return {
    name,
    sentinels,
    // Without it a client stays on a demoted master, and what that acknowledges is lost.
    failoverDetector: true,
    ...(password === undefined ? {} : { sentinelPassword: password }),
  };
}

function createCluster({ host, port, tls }: Endpoint, options: ClientOptions, role: ClientRole): Cluster {
  // The cluster fills in the place of each node itself, and has only database 0.
  const { host: _host, port: _port, db: _db, ...nodeOptions } = options;
  const clusterOptions: Omit<ClusterOptions, 'redisOptions'> & { redisOptions: typeof nodeOptions } = {
    redisOptions: nodeOptions,
    enableOfflineQueue: role === 'blocking',
    // A command whose node went away is not sent again by the client.
    retryDelayOnFailover: 0,
    clusterRetryStrategy: reconnectDelayMs,
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    // Certificates name hosts, so names must not be resolved before the TLS handshake.
    ...(tls ? { dnsLookup: (hostname, callback) => callback(null, hostname) } : {}),
  };
  const cluster = new Cluster([{ host, port }], clusterOptions);
  cluster.on('+node', heedLaterErrors);
  return cluster;
}
