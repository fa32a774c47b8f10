/** The Redis of a bench: on loopback, empty, its own. It is installed first where it is missing and may be. */
import { ensureRedis } from '../../test/support/ensure-redis.ts';
import { RedisServer } from '../../test/support/redis-server.ts';

/** @param options.aof - keeps a journal, synced each second; otherwise nothing is kept on disk */
export function startRedis({ aof }: { readonly aof: boolean }): Promise<RedisServer> {
  ensureRedis();
  return RedisServer.start({ aof });
}
