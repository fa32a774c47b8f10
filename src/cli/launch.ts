/** What `bin/tidemill.js` starts: settles how the process is to run before anything of weight is loaded. */
import { keepHeapSmall } from './small-heap.ts';

export async function launch(): Promise<void> {
  if (process.argv[2] === 'controller') keepHeapSmall();
  const { runProcess } = await import('./main.ts');
  await runProcess();
}
