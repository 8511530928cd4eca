/** Sessions out of the search index: who, when, from where, to what, and what they did. */
import type { Through } from "../../core/session.ts";
import { storable } from "./schema.ts";
import { numberIn, type SearchFile, textIn } from "./search-file.ts";

/** Times are milliseconds since 1970. What the log does not say is null. */
export type SessionSummary = {
  readonly id: string;
  readonly subject: string | null;
  readonly issuer: string | null;
  /** `human`, `agent` or `service`. */
  readonly kind: string | null;
  readonly target: string | null;
  readonly adapter: string | null;
  /** The client's address. */
  readonly source: string | null;
  /** The forward of another session that it came through; null: the client came by itself. */
  readonly through: Through | null;
  readonly openedMs: number;
  /** Null: the log has no end of it yet. */
  readonly endedMs: number | null;
  /** How it ended. */
  readonly status: string | null;
  /** Operations that policy permitted (people were asked, or not), that were refused, and that failed at the target. */
  readonly permitted: number;
  readonly refused: number;
  readonly failed: number;
  /** Rows returned or affected, and bytes sent to the client. */
  readonly rows: number;
  readonly bytes: number;
  readonly recordings: number;
  /** Its first and last entry. */
  readonly first: number;
  readonly last: number;
};

export type SessionFilter = {
  readonly subject?: string;
  readonly target?: string;
  /** Opened then or later. */
  readonly sinceMs?: number;
  /** Only those whose end is not in the log. */
  readonly isOpen?: boolean;
  /** Also those of the gateway itself (its looks at catalogs). */
  readonly withHouse?: boolean;
  /** Only those that came through a forward of this session, or through this operation. */
  readonly through?: string;
};

const COLUMNS = `id, subject, issuer, subject_kind, target, adapter, source, opened_ms, ended_ms, ended_status,
permitted, refused, failed, rows, bytes, recordings, first, last, through_session, through_operation`;

/** The last sessions that match, the newest first. */
export function listSessions(file: SearchFile, filter: SessionFilter, limit: number): SessionSummary[] {
  const conditions = ["house = ?"];
  const values: (string | number)[] = [];
  for (const column of ["subject", "target"] as const) {
    const value = filter[column];
    if (value === undefined) continue;
    conditions.push(`${column} = ?`);
    values.push(storable(value));
  }
  if (filter.sinceMs !== undefined) {
    conditions.push("opened_ms >= ?");
    values.push(filter.sinceMs);
  }
  if (filter.through !== undefined) {
    conditions.push("(through_session = ? OR through_operation = ?)");
    values.push(storable(filter.through), storable(filter.through));
  }
  if (filter.isOpen === true) conditions.push("ended_ms IS NULL");
  const sql = `SELECT ${COLUMNS} FROM session WHERE ${conditions.join(" AND ")} ORDER BY opened_ms DESC LIMIT ?`;
  // Each of the two runs down an index; asked for both at once, SQLite would sort.
  const houses = filter.withHouse === true ? [0, 1] : [0];
  return houses
    .flatMap((house) => file.all(sql, [house, ...values, limit]).map(summary))
    .toSorted((a, b) => b.openedMs - a.openedMs)
    .slice(0, limit);
}

/** One session; null when the index has none of this id. */
export function findSession(file: SearchFile, id: string): SessionSummary | null {
  const row = file.get(`SELECT ${COLUMNS} FROM session WHERE id = ?`, [storable(id)]);
  return row.length === 0 ? null : summary(row);
}

function summary(row: readonly unknown[]): SessionSummary {
  const [session, operation] = [textIn(row, 18), textIn(row, 19)];
  return {
    id: textIn(row, 0) ?? "",
    subject: textIn(row, 1),
    issuer: textIn(row, 2),
    kind: textIn(row, 3),
    target: textIn(row, 4),
    adapter: textIn(row, 5),
    source: textIn(row, 6),
    through: session === null || operation === null ? null : { session, operation },
    openedMs: numberIn(row, 7),
    endedMs: row[8] === null ? null : numberIn(row, 8),
    status: textIn(row, 9),
    permitted: numberIn(row, 10),
    refused: numberIn(row, 11),
    failed: numberIn(row, 12),
    rows: numberIn(row, 13),
    bytes: numberIn(row, 14),
    recordings: numberIn(row, 15),
    first: numberIn(row, 16),
    last: numberIn(row, 17),
  };
}
