/** A text with blanks in the place of its comments, for a parser that lets them part what the server joins. */
import { SqlLexer } from "./mask/sql-lexer.ts";

const BLANK = 0x20;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * `NOT IN`, `NULLS FIRST`, `WITH ORDINALITY` and UESCAPE are told by the word that follows, and the parser takes a comment
 * for that word; the server does not. Every byte of a comment becomes a blank, so that the others stay where they were.
 * A comment within a string constant that goes on in another line is left: it is part of the constant. Null: there are no
 * comments.
 *
 * What the parser accepts of this has the server's meaning, or the server rejects the text: a comment begins and ends
 * where the lexer says it does, and nothing before it depends on whether a blank or a comment follows, but for two string
 * constants, which the server then does not join.
 */
export function withoutComments(text: string): string | null {
  if (!text.includes("--") && !text.includes("/*")) return null;
  const bytes = encoder.encode(text);
  const lexer = new SqlLexer(bytes);
  const blanked = bytes.slice();
  let isChanged = false;
  for (lexer.next(); lexer.kind !== "end"; lexer.next()) {
    if (lexer.kind !== "comment") continue;
    blanked.fill(BLANK, lexer.start, lexer.end);
    isChanged = true;
  }
  return isChanged ? decoder.decode(blanked) : null;
}
