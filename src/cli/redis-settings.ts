/** The settings that say which Redis, how to log in to it, and what they become for the broker. */
import { z } from 'zod';
import type { RedisAddress } from '../broker/redis/client.ts';
import { messageOf, ProblemsError } from '../runtime/errors.ts';
import { optionalSetting, type Rule, rule, textSetting } from '../runtime/config.ts';
import type { Io } from './io.ts';
import { readRedisUrl, REDIS_URL_RULE } from './redis-url.ts';
import { bool } from './setting-kinds.ts';
import { quoted } from '../runtime/printable.ts';

const URL_INFO = {
  flag: 'redis',
  variable: 'REDIS_URL',
  argument: 'url',
  help: 'Redis to use, redis:// or rediss:// (TLS)',
  secret: true,
} as const;
const anyText = (text: string): string | undefined => (text === '' ? undefined : text);
const NODE = /^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})$/;

function readNodes(text: string): readonly string[] | undefined {
  const nodes = text.split(',').map((node) => node.trim());
  const areNodes = nodes.every((node) => {
    const port = Number(NODE.exec(node)?.[2]);
    return port >= 1 && port <= 65_535;
  });
  return areNodes ? nodes : undefined;
}

const url = textSetting(URL_INFO, REDIS_URL_RULE, readRedisUrl);
const optionalUrl = optionalSetting(URL_INFO, REDIS_URL_RULE, readRedisUrl);
const redisUsername = optionalSetting(
  { flag: 'redis-username', argument: 'name', help: 'user, where it does not stand in the URL', rare: true },
  'must not be empty',
  anyText,
);
const redisPassword = optionalSetting(
  {
    flag: 'redis-password',
    argument: 'text',
    help: 'password, where it does not stand in the URL',
    secret: true,
    rare: true,
  },
  'must not be empty',
  anyText,
);
const redisCa = optionalSetting(
  {
    flag: 'redis-ca',
    argument: 'path',
    help: 'PEM file of the authority that signed the certificate of Redis; rediss:// only',
    rare: true,
  },
  'must be the path of a PEM file',
  anyText,
);
const redisSentinels = optionalSetting(
  {
    flag: 'redis-sentinels',
    argument: 'host:port',
    help: 'sentinels to ask for the master; host and port of the URL are then ignored',
    list: true,
    rare: true,
  },
  'must be host:port, or several such separated by commas',
  readNodes,
);
const redisSentinelName = optionalSetting(
  {
    flag: 'redis-sentinel-name',
    argument: 'name',
    help: 'name of the master that the sentinels watch',
    rare: true,
  },
  'must not be empty',
  anyText,
);
const redisSentinelPassword = optionalSetting(
  {
    flag: 'redis-sentinel-password',
    argument: 'text',
    help: 'password of the sentinels',
    secret: true,
    rare: true,
  },
  'must not be empty',
  anyText,
);
const redisCluster = bool({
  flag: 'redis-cluster',
  argument: 'bool',
  help: 'whether the URL names a node of a Redis Cluster: true or false',
  default: 'false',
  rare: true,
});
const prefix = textSetting(
  {
    flag: 'prefix',
    argument: 'name',
    help: 'first part of all Redis keys; two installs with different ones can share a Redis',
    default: 'tidemill',
  },
  'must be 1 to 32 lower-case letters, digits, - or _',
  (text) => (/^[a-z0-9_-]{1,32}$/.test(text) ? text : undefined),
);

const AROUND = {
  redisUsername,
  redisPassword,
  redisCa,
  redisSentinels,
  redisSentinelName,
  redisSentinelPassword,
  redisCluster,
  prefix,
};
export const REDIS = { redis: url, ...AROUND };
export const OPTIONAL_REDIS = { redis: optionalUrl, ...AROUND };

export type RedisSettings = z.output<z.ZodObject<typeof REDIS>>;
/** Settings of a command that can do without Redis. */
export type OptionalRedisSettings = z.output<z.ZodObject<typeof OPTIONAL_REDIS>>;

export const REDIS_RULES: readonly Rule[] = [
  rule('redisSentinels', z.object({ redisSentinels, redisCluster }), (values) =>
    values.redisSentinels !== undefined && values.redisCluster
      ? 'cannot be set together with --redis-cluster: use one of the two'
      : undefined,
  ),
  rule('redisSentinels', z.object({ redisSentinels, redisSentinelName }), (values) =>
    values.redisSentinels !== undefined && values.redisSentinelName === undefined
      ? 'needs --redis-sentinel-name, the name of the master'
      : undefined,
  ),
  rule('redisSentinelName', z.object({ redisSentinels, redisSentinelName }), (values) =>
    values.redisSentinels === undefined && values.redisSentinelName !== undefined
      ? 'needs --redis-sentinels, where to ask'
      : undefined,
  ),
  rule('redisCa', z.object({ redisCa, redis: optionalUrl }), (values) =>
    values.redisCa !== undefined && values.redis?.startsWith('redis:') === true
      ? 'needs a rediss:// URL: without TLS there is no certificate to check'
      : undefined,
  ),
];

/** @throws ProblemsError CONFIG_INVALID when the file of the authority cannot be read */
export function redisAddress(settings: RedisSettings, { readFile }: Pick<Io, 'readFile'>): RedisAddress {
  const {
    redis,
    redisUsername: username,
    redisPassword: password,
    redisCa: ca,
    redisCluster: cluster,
  } = settings;
  const {
    redisSentinels: nodes,
    redisSentinelName: name = '',
    redisSentinelPassword: sentinelPassword,
  } = settings;
  return {
    url: redis,
    prefix: settings.prefix,
    cluster,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca !== undefined && { tlsCa: readCa(ca, readFile) }),
    ...(nodes !== undefined && {
      sentinels: { name, nodes, ...(sentinelPassword !== undefined && { password: sentinelPassword }) },
    }),
  };
}

function readCa(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path);
  } catch (cause) {
    const message = `the file ${quoted(path, 200)} cannot be read: ${messageOf(cause)}`;
    throw new ProblemsError('CONFIG_INVALID', 'these settings are wrong:', [{ at: '--redis-ca', message }], {
      cause,
    });
  }
}
