/** The sandboxed processor of BullMQ: its children are reused from job to job. */
import type { Job } from '../lib/job.ts';
import { noteStart } from '../lib/start-file.ts';

export default async function process({ data }: { data: Job }): Promise<string> {
  noteStart(data.id);
  return 'ok';
}
