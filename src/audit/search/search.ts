/** Answers from the search index: which entries match, newest or oldest first, whatever the size of the log. */
import { Columns } from "./columns.ts";
import { Masks } from "./masks.ts";
import { ID_BUCKETS, ID_ITEM_BYTES, idHash, idRow, PARTS, storable, STRETCH_ENTRIES } from "./schema.ts";
import { blobIn, numberIn, type SearchFile } from "./search-file.ts";

/** What is wanted; all of it must hold. Times are milliseconds since 1970, both ends included. */
export type SearchFilter = {
  readonly words?: readonly string[];
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly subject?: string;
  readonly issuer?: string;
  readonly target?: string;
  readonly event?: string;
  readonly decision?: string;
  readonly refusal?: string;
  readonly rule?: string;
  /** How the operation ended: `failed`. */
  readonly status?: string;
  /** A session's id. */
  readonly session?: string;
  /** The id of a session, or of one of its forwards, that the entry's own session came through. */
  readonly through?: string;
};

export type SearchOrder = { readonly limit: number; readonly isOldestFirst: boolean };

/** A stretch of the log, and between which times its entries are. */
type Span = { readonly stretch: number; readonly fromMs: number; readonly toMs: number };
/** The sessions that are asked for, by their numbers, and between which entries all of them are. */
type SessionRange = { readonly numbers: ReadonlySet<number>; readonly first: number; readonly last: number };

export class EntrySearch {
  readonly #file: SearchFile;

  constructor(file: SearchFile) {
    this.#file = file;
  }

  /** The indices of entries that match, in the order that was asked for. Throws WordsRefused. */
  search(filter: SearchFilter, order: SearchOrder): number[] {
    return this.#file.snapshot(() => {
      const session = this.#sessions(filter);
      if (session?.numbers.size === 0) return [];
      const masks = Masks.of(this.#file, filter);
      const found: number[] = [];
      if (masks.areHopeless) return found;
      for (const span of this.#spans(filter, order, session)) {
        if (found.length >= order.limit) break;
        this.#searchIn(span, masks, session, filter, order, found);
      }
      return found;
    });
  }

  /** Entries that may be an operation's, in order: by a hash of its id, so that a stranger's can be among them. */
  operation(id: string): number[] {
    return this.#file.snapshot(() => {
      const hash = idHash(storable(id));
      const rows: number[] = [];
      for (let stretch = 0; stretch * STRETCH_ENTRIES < this.#file.size; stretch++) rows.push(idRow(stretch, hash));
      const found = new Set<number>();
      const sql = "SELECT number, items FROM json_each(?) JOIN ident ON number = value ORDER BY number";
      for (const row of this.#file.all(sql, [JSON.stringify(rows)])) {
        const stretch = Math.floor(numberIn(row, 0) / ID_BUCKETS);
        const items = blobIn(row, 1);
        for (let at = 0; at < items.length; at += ID_ITEM_BYTES) {
          if (items.readUInt32LE(at) === hash) found.add(stretch * STRETCH_ENTRIES + items.readUInt16LE(at + 4));
        }
      }
      return [...found].filter((index) => index >= this.#file.first).toSorted((a, b) => a - b);
    });
  }

  /** Null: of any session, or of none. */
  #sessions({ session, through }: SearchFilter): SessionRange | null {
    if (session === undefined && through === undefined) return null;
    const conditions: string[] = [];
    const values: string[] = [];
    if (session !== undefined) {
      conditions.push("id = ?");
      values.push(storable(session));
    }
    if (through !== undefined) {
      conditions.push("(through_session = ? OR through_operation = ?)");
      values.push(storable(through), storable(through));
    }
    const rows = this.#file.all(`SELECT number, first, last FROM session WHERE ${conditions.join(" AND ")}`, values);
    return {
      numbers: new Set(rows.map((row) => numberIn(row, 0))),
      first: rows.reduce((first, row) => Math.min(first, numberIn(row, 1)), Number.MAX_SAFE_INTEGER),
      last: rows.reduce((last, row) => Math.max(last, numberIn(row, 2)), 0),
    };
  }

  /** The stretches that can hold something, in the order of the search. */
  #spans(filter: SearchFilter, order: SearchOrder, session: SessionRange | null): Span[] {
    const rows = this.#file.all(
      `SELECT number, from_ms, to_ms FROM stretch WHERE to_ms >= ? AND from_ms <= ? AND number BETWEEN ? AND ?
       ORDER BY number ${order.isOldestFirst ? "ASC" : "DESC"}`,
      [
        filter.sinceMs ?? -Number.MAX_VALUE,
        filter.untilMs ?? Number.MAX_VALUE,
        Math.floor((session?.first ?? 0) / STRETCH_ENTRIES),
        Math.floor((session?.last ?? Number.MAX_SAFE_INTEGER) / STRETCH_ENTRIES),
      ],
    );
    return rows.map((row) => ({ stretch: numberIn(row, 0), fromMs: numberIn(row, 1), toMs: numberIn(row, 2) }));
  }

  #searchIn(
    span: Span,
    masks: Masks,
    session: SessionRange | null,
    filter: SearchFilter,
    order: SearchOrder,
    found: number[],
  ): void {
    const columns = this.#columns(span.stretch);
    const ofSession = session === null ? null : placesOf(session.numbers, columns.sessions);
    if (ofSession?.size === 0) return;
    const test = masks.testOf(columns);
    if (test === null) return;
    const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = filter;
    const isAllInTime = span.fromMs >= sinceMs && span.toMs <= untilMs;
    const { count } = columns;
    for (let step = 0; step < count; step++) {
      const place = order.isOldestFirst ? step : count - 1 - step;
      if (!test(place)) continue;
      if (ofSession !== null && !ofSession.has(columns.ofSession[place] ?? -1)) continue;
      if (!isAllInTime) {
        const timeMs = columns.times[place] ?? Number.NaN;
        if (!(timeMs >= sinceMs && timeMs <= untilMs)) continue;
      }
      const index = span.stretch * STRETCH_ENTRIES + place;
      if (index < this.#file.first) continue;
      found.push(index);
      if (found.length >= order.limit) return;
    }
  }

  #columns(stretch: number): Columns {
    const row = this.#file.get("SELECT dict FROM stretch WHERE number = ?", [stretch]);
    if (row[0] === null) {
      return Columns.ofTails(this.#file.all("SELECT items FROM tail ORDER BY first").map((tail) => blobIn(tail, 0)));
    }
    return Columns.ofDict(blobIn(row, 0), (part) =>
      blobIn(this.#file.get("SELECT items FROM part WHERE number = ?", [stretch * PARTS + part]), 0),
    );
  }
}

/** The places in a stretch's dictionary of those that are wanted. */
function placesOf(numbers: ReadonlySet<number>, dictionary: Uint32Array): ReadonlySet<number> {
  const places = new Set<number>();
  for (const [place, number] of dictionary.entries()) if (numbers.has(number)) places.add(place);
  return places;
}
