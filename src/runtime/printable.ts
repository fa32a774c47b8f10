/** Characters that JSON leaves as they are and that a terminal, a log reader or an eye may be misled by. */

/** C1 controls are obeyed by terminals, U+2028 and U+2029 break lines, the others reorder or hide text. */
const RISKY = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The same text with each of them as an escape of JSON: for text that is inside of quotes, or JSON itself. */
export function escapeRisky(text: string): string {
  return text.replace(RISKY, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
