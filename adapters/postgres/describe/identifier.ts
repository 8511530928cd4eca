/** Dotted names: joined for policy, and split as the server splits those inside texts (nextval('app."Orders_id_seq"')). */

/** NAMEDATALEN - 1; the server cuts longer names. */
const NAME_BYTES_MAX = 63;
const QUOTE = '"';

/** Parts joined by dots; one that holds a dot or a quote is quoted, so that no two names become one. */
export function joinIdentifier(...parts: readonly string[]): string {
  return parts.map(quoteIfAmbiguous).join(".");
}

function quoteIfAmbiguous(part: string): string {
  if (!part.includes(".") && !part.includes(QUOTE)) return part;
  return QUOTE + part.replaceAll(QUOTE, QUOTE + QUOTE) + QUOTE;
}

/** The parts of a dotted name, folded as the server folds them; null when the text is no name. */
export function splitIdentifier(text: string): string[] | null {
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    while (isSpace(text[at])) at++;
    let part = "";
    if (text[at] === QUOTE) {
      at++;
      for (;;) {
        const character = text[at];
        if (character === undefined) return null;
        at++;
        if (character !== QUOTE) part += character;
        else if (text[at] === QUOTE) {
          part += QUOTE;
          at++;
        } else break;
      }
    } else {
      const start = at;
      while (at < text.length && text[at] !== "." && text[at] !== QUOTE && !isSpace(text[at])) at++;
      // The server folds ASCII for sure, and other letters by its locale: a name with those is not known here.
      part = text.slice(start, at);
      for (let index = 0; index < part.length; index++) if (part.charCodeAt(index) > 0x7f) return null;
      part = part.toLowerCase();
    }
    if (part === "" || Buffer.byteLength(part) > NAME_BYTES_MAX) return null;
    parts.push(part);
    while (isSpace(text[at])) at++;
    if (at >= text.length) return parts;
    if (text[at] !== ".") return null;
    at++;
  }
}

function isSpace(character: string | undefined): boolean {
  return character === " " || character === "\t" || character === "\n" || character === "\r" || character === "\f";
}
