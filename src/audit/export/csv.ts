/** Rows as CSV (RFC 4180) that a spreadsheet shows and never runs. */
import { type Cell, type ColumnType, COLUMNS, type Row } from "./row.ts";

/** What makes a spreadsheet take a cell for a formula, also behind white space. */
const FORMULA_STARTS = "=+-@\t\r\n|%";

export function csvHead(): string {
  return COLUMNS.map(([name]) => quoted(name)).join(",");
}

/** One line without its line end, which is CRLF. Texts may hold line ends of their own. */
export function csvLine(row: Row): string {
  return COLUMNS.map(([name, type]) => csvCell(row[name], type)).join(",");
}

function csvCell(cell: Cell, type: ColumnType): string {
  if (cell === null) return "";
  if (type === "time" && typeof cell === "number") return quoted(new Date(cell).toISOString());
  if (typeof cell !== "string") return String(cell);
  return quoted(harmless(cell));
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** A leading apostrophe makes a text of it. Full-width forms of the signs count too: some programs fold them. */
function harmless(text: string): string {
  const first = text.trimStart().normalize("NFKC").charAt(0);
  const isFormula = FORMULA_STARTS.includes(text.charAt(0)) || (first !== "" && FORMULA_STARTS.includes(first));
  return text !== "" && isFormula ? `'${text}` : text;
}
