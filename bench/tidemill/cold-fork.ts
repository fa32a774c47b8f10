/** A process that is forked for one job: loads the task as a warm child did long before, and begins. */
import './cpu.ts';
import { noteStart } from '../lib/start-file.ts';

process.once('message', (message: { readonly id: number }) => {
  noteStart(message.id);
  process.disconnect();
});
