/** How the rows of a COPY TO STDOUT are written, from the options of its statement. */

/** Bytes are single ASCII characters. `nullText` is what stands for NULL. */
export type CopySyntax =
  | { readonly format: "text"; readonly delimiter: number; readonly nullText: Uint8Array }
  | {
      readonly format: "csv";
      readonly delimiter: number;
      readonly quote: number;
      readonly escape: number;
      readonly nullText: Uint8Array;
    };

const TAB = 0x09;
const COMMA = 0x2c;
const QUOTE = 0x22;

const utf8 = new TextEncoder();

/** Those that say nothing of how cells are written. */
const INDIFFERENT: ReadonlySet<string> = new Set(["header", "force_quote"]);

/**
 * The options by their names in lower case, with their values; null: the option has none that is a single text. Null: it
 * cannot be said how the rows are written (binary, another encoding, an option that is not known), so that nothing in
 * them could be masked.
 */
export function copySyntax(options: ReadonlyMap<string, string | null>): CopySyntax | null {
  const format = (options.get("format") ?? "text").toLowerCase();
  if (format !== "text" && format !== "csv") return null;
  const isCsv = format === "csv";
  let delimiter: number | null = isCsv ? COMMA : TAB;
  let quote: number | null = QUOTE;
  let escape: number | null = null;
  let nullText = isCsv ? "" : "\\N";
  for (const [name, value] of options) {
    if (name === "format" || INDIFFERENT.has(name)) continue;
    if (value === null) return null;
    if (name === "delimiter") delimiter = character(value);
    else if (name === "null") nullText = value;
    else if (name === "quote" && isCsv) quote = character(value);
    else if (name === "escape" && isCsv) escape = character(value);
    else if (name !== "encoding" || !isUtf8(value)) return null;
    if (name === "escape" && escape === null) return null;
  }
  if (delimiter === null || quote === null) return null;
  const common = { delimiter, nullText: utf8.encode(nullText) };
  return isCsv ? { format, quote, escape: escape ?? quote, ...common } : { format, ...common };
}

/** PostgreSQL takes one byte only. */
function character(value: string): number | null {
  return value.length === 1 && value.charCodeAt(0) < 0x80 ? value.charCodeAt(0) : null;
}

function isUtf8(name: string): boolean {
  return ["utf8", "utf-8", "unicode"].includes(name.toLowerCase());
}
