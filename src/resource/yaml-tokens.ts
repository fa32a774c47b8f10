/** The tokens of YAML text, up to the depth where the rest of the parser, which works by recursion, would run out of stack. */
import { type CST, Lexer, type LineCounter, Parser } from 'yaml';
import { TidemillError } from '../runtime/errors.ts';

/** Params may have 32 levels, and stand four below the top; the parser counts some of them twice. */
const MOST_LEVELS = 100;

/** Thrown where the text goes deeper; `offset` says where. */
export class TooDeep extends TidemillError {
  readonly offset: number;

  constructor(offset: number) {
    super('MANIFEST_INVALID', `must not be nested deeper than ${MOST_LEVELS} levels`);
    this.offset = offset;
  }
}

/** @throws TooDeep before anything has been made of what is too deep */
export function* boundedTokens(text: string, lines: LineCounter): Generator<CST.Token, void> {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > MOST_LEVELS) throw new TooDeep(parser.offset);
  }
  yield* parser.end();
}
