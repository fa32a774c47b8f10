/** Characters that a terminal, a log reader or an eye may be misled by, as the escapes that JSON has for them. */

/** JSON leaves these as they are. C1 controls are obeyed by terminals, U+2028 and U+2029 break lines, the others reorder or hide text. */
const RISKY = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const CONTROLS = /\p{Cc}/gu;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** For JSON, or text that is inside of its quotes. */
export const escapeRisky = (text: string): string => text.replace(RISKY, escaped);

/** A text of somebody else's inside a message: quoted, with escapes for what is risky, and cut. */
export const quoted = (text: string, maxLength = 80): string =>
  escapeRisky(JSON.stringify(text.slice(0, maxLength)));

/** For any text on one line. */
export const escapeControls = (text: string): string => escapeRisky(text.replace(CONTROLS, escaped));

/**
 * At most `maxLength` characters, with escapes for what a terminal obeys, and no half of a pair: what an API server would
 * store otherwise is not what was sent, and comparing both would never end.
 */
export function cut(text: string, maxLength: number): string;
export function cut(text: string | undefined, maxLength: number): string | undefined;
export function cut(text: string | undefined, maxLength: number): string | undefined {
  if (text === undefined) return undefined;
  // An escape is longer than what it stands for; what is far beyond the bound need not be looked at.
  const plain = plainLines(text.slice(0, maxLength + 1).toWellFormed());
  return plain.length <= maxLength ? plain : `${plain.slice(0, maxLength - 1).toWellFormed()}…`;
}

/** Line breaks stay: the message of a failed run has some. */
export function plainLines(text: string): string {
  return text.split('\n').map(escapeControls).join('\n');
}
