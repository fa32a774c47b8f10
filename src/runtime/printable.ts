/** Characters that a terminal, a log reader or an eye may be misled by, as the escapes that JSON has for them. */

/** JSON leaves these as they are. C1 controls are obeyed by terminals, U+2028 and U+2029 break lines, the others reorder or hide text. */
const RISKY = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const CONTROLS = /\p{Cc}/gu;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** For JSON, or text that is inside of its quotes. */
export const escapeRisky = (text: string): string => text.replace(RISKY, escaped);

/** For any text on one line. */
export const escapeControls = (text: string): string => escapeRisky(text.replace(CONTROLS, escaped));
