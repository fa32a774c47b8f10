/** Cancel reasons stand in records and held hashes as a JSON string. Without a schema: the heartbeat's thread loads this. */

export function encodeReason(reason: string): string {
  return JSON.stringify(reason);
}

export function decodeReason(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'string' ? parsed : text;
  } catch {
    return text;
  }
}
