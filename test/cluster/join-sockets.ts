/** Two sockets as one: what comes out of one goes into the other, and they end together. */
import type { Socket } from 'node:net';

export function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}
