/** Tells at which instant a body began: its first line. */
import { sharedNowMs, tell } from './measured-process.ts';

export function tellStart(id: number): void {
  tell({ id, atMs: sharedNowMs() });
}
