/** How full the server is, or the fullest master of a cluster: one full master refuses the queues that live on it. */
import { Cluster } from 'ioredis';
import { TidemillError } from '../../runtime/errors.ts';
import type { MemoryUse } from '../broker.ts';
import type { Connection } from './connection.ts';

/** @returns `undefined` when the user of the connection may not read INFO */
export async function readMemory(connection: Connection): Promise<MemoryUse | undefined> {
  try {
    const infos = await connection.call('read the memory in use', (client) =>
      Promise.all(
        (client instanceof Cluster ? client.nodes('master') : [client]).map((node) => node.info('memory')),
      ),
    );
    return fullest(infos.flatMap((info) => parseMemory(info) ?? []));
  } catch (error) {
    if (error instanceof TidemillError && error.code === 'BROKER_REFUSED') return undefined;
    throw error;
  }
}

/** Reads the memory section of INFO; `undefined` when it does not say. */
export function parseMemory(info: string): MemoryUse | undefined {
  const used = /^used_memory:(\d+)/m.exec(info)?.[1];
  const max = /^maxmemory:(\d+)/m.exec(info)?.[1];
  return used === undefined || max === undefined
    ? undefined
    : { usedBytes: Number(used), maxBytes: Number(max) };
}

/** The one with the least room; those without a limit come last. */
export function fullest(uses: readonly MemoryUse[]): MemoryUse | undefined {
  const share = ({ usedBytes, maxBytes }: MemoryUse): number => (maxBytes === 0 ? 0 : usedBytes / maxBytes);
  return uses.toSorted((a, b) => share(b) - share(a) || b.usedBytes - a.usedBytes)[0];
}
