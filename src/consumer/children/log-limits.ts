/** How much of a run's log leaves its child: known to both sides, the child keeps it and the parent holds it to that. */

export const MAX_LOG_RECORDS = 10_000;
/** As JSON text. The record that crosses the limit is still sent. */
export const MAX_LOG_BYTES = 1024 * 1024;
