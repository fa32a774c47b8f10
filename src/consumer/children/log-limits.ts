/** How much of a run's log leaves its child: known to both sides, the child keeps it and the parent holds it to that. */
import { loggableFields, loggableText } from '../../telemetry/log-fields.ts';

export const MAX_LOG_RECORDS = 10_000;
/** As JSON text. The record that crosses the limit is still sent. */
export const MAX_LOG_BYTES = 1024 * 1024;
/** The parent makes plain again what the child made plain, which can be a little longer. */
const MAX_TAKEN_BYTES = 2 * MAX_LOG_BYTES;

/** What is left of a record once it is safe to keep. */
export interface PlainRecord {
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Counts on the parent's side what a child sends: task code in the child can send messages of its own. */
export class LogMeter {
  #records = 0;
  #bytes = 0;

  /** @returns the record, bounded; `undefined` when it is more than a child of ours ever sends */
  take({ message, fields }: PlainRecord): PlainRecord | undefined {
    // Before this record is counted, as in the child: the one that crosses the limit passes.
    if (this.#records >= MAX_LOG_RECORDS || this.#bytes >= MAX_TAKEN_BYTES) return undefined;
    const text = loggableText(message);
    // Also what keeps a few objects that hold each other a million times from becoming as much text.
    const plain = fields === undefined ? undefined : loggableFields(fields);
    this.#records += 1;
    this.#bytes += text.length + (plain === undefined ? 0 : JSON.stringify(plain).length);
    return { message: text, ...(plain !== undefined && { fields: plain }) };
  }
}
