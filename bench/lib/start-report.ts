/** Tells at which instant a body began: its first line. */
import { sharedNowMs, tell } from './measured-process.ts';

export function tellStart(id: number): void {
  tell({ id, atMs: sharedNowMs() });
}

/** Also how much CPU time its process has used until then, ms. */
export function tellStartAndCpu(id: number): void {
  const atMs = sharedNowMs();
  const { user, system } = process.cpuUsage();
  tell({ id, atMs, cpuMs: (user + system) / 1_000 });
}
