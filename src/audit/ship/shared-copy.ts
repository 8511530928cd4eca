/** The shared copy as people ask it: entries and sessions of every gateway that ships to one libSQL server. */
import { type Leaf, readLeaf } from "../entry.ts";
import { leafHash } from "../merkle.ts";
import { ftsQuery } from "../search/query-words.ts";
import { storable } from "../search/schema.ts";
import type { SearchFilter, SearchOrder } from "../search/search.ts";
import type { SessionFilter, SessionSummary } from "../search/sessions.ts";
import { traceOf } from "../search/trace.ts";
import { SHA256_BYTES } from "../sha256.ts";
import { bytesAt, LibsqlConnection, numberAt, type ServerPlace, valuesOf } from "./libsql-connection.ts";
import { ShipError } from "./bounded-fetch.ts";

/** An entry and whose it is; `hash` is recomputed from what the copy holds, in lower-case hex. */
export type SharedEntry = {
  readonly gateway: string;
  readonly hash: string;
  readonly json: string;
  readonly leaf: Leaf;
};

export type SharedSession = { readonly gateway: string; readonly summary: SessionSummary };

/** Entries have up to 64 KiB: so many of them are surely within one answer. */
const ENTRIES_AT_ONCE = 50;

type Conditions = { readonly sql: string[]; readonly values: (string | number)[] };
type Place = { readonly origin: string; readonly index: number };

export class SharedCopy {
  readonly #connection: LibsqlConnection;

  constructor(place: ServerPlace) {
    this.#connection = new LibsqlConnection(place);
  }

  /** Entries that match, in the order that was asked for by their time. Throws WordsRefused, ShipError. */
  async search(filter: SearchFilter, order: SearchOrder): Promise<readonly SharedEntry[]> {
    const { sql, values } = entryConditions(filter);
    const direction = order.isOldestFirst ? "ASC" : "DESC";
    const found = await this.#read(
      `SELECT e.origin, e.idx FROM weir_entry e JOIN weir_kind k ON k.id = e.kind
       WHERE ${sql.join(" AND ")} ORDER BY e.time_ms ${direction}, e.origin, e.idx ${direction} LIMIT ?`,
      [...values, order.limit],
    );
    return this.#entries(found.map((row) => ({ origin: textAt(row, 0), index: numberAt(row, 1) })));
  }

  /** The last sessions that match, the newest first. Throws ShipError. */
  async sessions(filter: SessionFilter, limit: number): Promise<readonly SharedSession[]> {
    const { sql, values } = sessionConditions(filter);
    const opened = await this.#read(
      `SELECT e.origin, e.idx FROM weir_entry e JOIN weir_kind k ON k.id = e.kind
       WHERE ${sql.join(" AND ")} ORDER BY e.time_ms DESC, e.origin, e.idx DESC LIMIT ?`,
      [...values, limit],
    );
    const entries = await this.#entries(opened.map((row) => ({ origin: textAt(row, 0), index: numberAt(row, 1) })));
    const sessions: SharedSession[] = [];
    for (const { gateway, json } of entries) {
      const trace = traceOf(Buffer.from(json));
      if (trace.shape !== "intent") continue;
      const { subjectKind: kind, ...who } = trace.session;
      sessions.push({ gateway, summary: { ...who, kind, ...(await this.#counts(gateway, who.id)) } });
    }
    return sessions;
  }

  close(): void {
    this.#connection.close();
  }

  /** What a session did and how it ended. */
  async #counts(origin: string, session: string): Promise<Omit<SessionSummary, keyof Who>> {
    const [row] = await this.#read(
      `SELECT total(e.role IS NULL AND k.event = 'operation.intent' AND k.decision <> 'house'),
       total(e.role IS NULL AND k.event = 'operation.refusal'), total(e.role IS NULL AND k.status = 'failed'),
       total(CASE WHEN e.role IS NULL THEN e.rows END), total(CASE WHEN e.role IS NULL THEN e.bytes END),
       total(k.event = 'recording.started'),
       min(e.idx), max(e.idx), max(CASE WHEN e.role >= 2 THEN e.time_ms END), max(CASE WHEN e.role >= 2 THEN k.status END)
       FROM weir_entry e JOIN weir_kind k ON k.id = e.kind WHERE e.session = ? AND e.origin = ?`,
      [session, origin],
    );
    const status = row?.[9];
    return {
      permitted: numberAt(row, 0),
      refused: numberAt(row, 1),
      failed: numberAt(row, 2),
      rows: numberAt(row, 3),
      bytes: numberAt(row, 4),
      recordings: numberAt(row, 5),
      first: numberAt(row, 6),
      last: numberAt(row, 7),
      endedMs: typeof row?.[8] === "number" ? row[8] : null,
      status: typeof status === "string" ? status : null,
    };
  }

  async #entries(places: readonly Place[]): Promise<readonly SharedEntry[]> {
    const entries: SharedEntry[] = [];
    for (let at = 0; at < places.length; at += ENTRIES_AT_ONCE) {
      const wanted = places.slice(at, at + ENTRIES_AT_ONCE).map(({ origin, index }) => [origin, index]);
      const rows = await this.#read(
        `SELECT e.origin, e.idx, e.leaf FROM json_each(?) JOIN weir_entry e ON e.origin = value ->> 0 AND e.idx = value ->> 1
         ORDER BY key`,
        [JSON.stringify(wanted)],
      );
      for (const row of rows) entries.push(entryOf(textAt(row, 0), numberAt(row, 1), bytesAt(row, 2)));
    }
    return entries;
  }

  async #read(sql: string, values: readonly (string | number)[]): Promise<readonly (readonly unknown[])[]> {
    return valuesOf(await this.#connection.read(sql, values));
  }
}

type Who = Pick<
  SessionSummary,
  "id" | "subject" | "issuer" | "kind" | "target" | "adapter" | "source" | "through" | "openedMs"
>;

function entryOf(gateway: string, index: number, bytes: Uint8Array): SharedEntry {
  const prefixed = new Uint8Array(bytes.length + 1);
  prefixed.set(bytes, 1);
  const hash = new Uint8Array(SHA256_BYTES);
  leafHash(prefixed, hash);
  return {
    gateway,
    hash: Buffer.from(hash).toString("hex"),
    json: Buffer.from(bytes).toString("utf8"),
    leaf: readLeaf(bytes, index),
  };
}

function entryConditions(filter: SearchFilter): Conditions {
  const conditions: Conditions = { sql: ["1"], values: [] };
  const add = (sql: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    conditions.sql.push(sql);
    conditions.values.push(typeof value === "string" ? storable(value) : value);
  };
  add("k.id IN (SELECT rowid FROM weir_word WHERE weir_word MATCH ?)", ftsQuery(filter.words ?? []) ?? undefined);
  add("e.time_ms >= ?", filter.sinceMs);
  add("e.time_ms <= ?", filter.untilMs);
  for (const name of ["subject", "issuer", "target", "event", "decision", "refusal", "status"] as const) {
    add(`k.${name} = ?`, filter[name]);
  }
  add("EXISTS (SELECT 1 FROM json_each(k.rules) WHERE value = ?)", filter.rule);
  add("e.session = ?", filter.session);
  const opening = "o.session = e.session AND o.origin = e.origin AND o.role IN (1, 3)";
  add(`EXISTS (SELECT 1 FROM weir_entry o WHERE ${opening} AND ${cameThrough("o")})`, filter.through);
  return conditions;
}

function sessionConditions({ subject, target, sinceMs, isOpen, withHouse, through }: SessionFilter): Conditions {
  const conditions: Conditions = { sql: ["e.role IN (1, 3)"], values: [] };
  const add = (sql: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    conditions.sql.push(sql);
    conditions.values.push(typeof value === "string" ? storable(value) : value);
  };
  add("k.subject = ?", subject);
  add("k.target = ?", target);
  add("e.time_ms >= ?", sinceMs);
  add(cameThrough("e"), through);
  if (withHouse !== true) conditions.sql.push("k.decision <> 'house'");
  if (isOpen === true) {
    const ends = "SELECT 1 FROM weir_entry o WHERE o.session = e.session AND o.origin = e.origin AND o.role >= 2";
    conditions.sql.push(`NOT EXISTS (${ends})`);
  }
  return conditions;
}

/** Of an entry of a session: its leaf names the forward that the session came through. */
function cameThrough(entry: string): string {
  const id = (of: string): string => `json_extract(CAST(${entry}.leaf AS TEXT), '$.session.through.${of}')`;
  return `? IN (${id("session")}, ${id("operation")})`;
}

function textAt(row: readonly unknown[] | undefined, column: number): string {
  const value = row?.[column];
  if (typeof value !== "string") throw new ShipError("the server's answer is not what was asked for");
  return value;
}
