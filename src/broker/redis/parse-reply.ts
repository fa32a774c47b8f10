/** Replies of scripts as typed values. */
import type { z } from 'zod';
import { TidemillError } from '../../runtime/errors.ts';

/** @throws TidemillError INTERNAL when the reply is not what the script promises */
export function parseReply<Schema extends z.ZodType>(
  script: string,
  schema: Schema,
  reply: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  const shown = JSON.stringify(reply).slice(0, 200);
  throw new TidemillError('INTERNAL', `${script}.lua answered ${shown}, which is not what it promises`, {
    cause: parsed.error,
  });
}
