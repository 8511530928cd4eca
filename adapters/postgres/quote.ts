/** Names and texts as SQL spells them. https://www.postgresql.org/docs/18/sql-syntax-lexical.html */

/** Always in double quotes: whatever the name, it is that name and no keyword. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `"schema"."name"`. */
export function quoteQualified(...parts: readonly string[]): string {
  return parts.map(quoteIdentifier).join(".");
}

/** A string constant, whatever standard_conforming_strings says. */
export function quoteText(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return text.includes("\\") ? `E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`;
}
