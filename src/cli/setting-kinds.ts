/** The kinds of values that settings have, each with its rule in words. */
import { optionalSetting, type SettingInfo, textSetting } from '../runtime/config.ts';
import { DURATION_PATTERN, formatDuration, parseDuration } from '../schedule/duration.ts';
import { isQueueName } from '../task/names.ts';

export function integer(info: SettingInfo, min: number, max: number) {
  return textSetting(info, `must be a whole number from ${min} to ${max}`, (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

export function duration(info: SettingInfo, minMs: number, maxMs: number) {
  const range = `must be a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as 500ms, 30s or 1h30m`;
  return textSetting(info, range, (text) => {
    const ms = DURATION_PATTERN.test(text) ? parseDuration(text) : NaN;
    return ms >= minMs && ms <= maxMs ? ms : undefined;
  });
}

export const bool = (info: SettingInfo) =>
  textSetting(info, 'must be true or false', (text) =>
    text === 'true' || text === 'false' ? text === 'true' : undefined,
  );

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, KiB: 1_024, MiB: 1_024 ** 2, GiB: 1_024 ** 3 };

const BYTES_RULE = 'must be a number of bytes such as 1048576, 512KiB, 64MiB or 2GiB';

function bytesOf(text: string): number | undefined {
  const [, digits, unit = ''] = /^([0-9]{1,12})(KiB|MiB|GiB)?$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * (BYTE_UNITS[unit] ?? 1);
}

export const bytes = (info: SettingInfo) => textSetting(info, BYTES_RULE, bytesOf);

/** `bytes` that may be missing, and are at least `min` when given. */
export function optionalBytes(info: SettingInfo, min: number) {
  return optionalSetting(info, `${BYTES_RULE}, at least ${min / 1_024 ** 2}MiB`, (text) => {
    const value = bytesOf(text);
    return value !== undefined && value >= min ? value : undefined;
  });
}

const items = (text: string): readonly string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

export const nonEmptyList = (text: string): readonly string[] | undefined => {
  const found = items(text);
  return found.length === 0 ? undefined : found;
};

export const queueList = (text: string): readonly string[] | undefined => {
  const queues = nonEmptyList(text);
  return queues?.every(isQueueName) === true ? [...new Set(queues)] : undefined;
};

export const NAME_RULE =
  'must be 1 to 63 lower-case letters, digits or -, beginning and ending with a letter or digit';
export const nameText = (text: string): string | undefined => (isQueueName(text) ? text : undefined);
