/** Schedules that nobody has served for long: what Redis holds of them is edited, since its clock is the one that counts. */
import type { Redis } from 'ioredis';
import { DEFAULT_PREFIX, queueKeys } from '../../src/broker/redis/keys.ts';
import { QUEUE } from './world.ts';

const keys = queueKeys(DEFAULT_PREFIX, QUEUE);

/** As if the schedules had been adopted, and decided for the last time, at that instant. */
export async function dateBack(client: Redis, uids: readonly string[], atMs: number): Promise<void> {
  for (const uid of uids) {
    const era = await client.lindex(keys.eras(uid), -1);
    if (era === null) throw new Error(`the schedule ${uid} has no era`);
    const [generation, _fromMs, ...rest] = era.split(';');
    await client
      .multi()
      .hset(keys.schedule(uid), { notBeforeMs: atMs, watermarkMs: atMs })
      .lset(keys.eras(uid), -1, [generation, atMs, ...rest].join(';'))
      .del(keys.decisions(uid))
      .exec();
  }
}
