/** The copy on a libSQL server: entries with what they are found by, full tiles, notes, stamps and recordings, by origin. */
import type { InStatement } from "@libsql/client/http";
import { fullTiles, TILE_WIDTH } from "../tiles.ts";
import { CopyForked, ShipError } from "./bounded-fetch.ts";
import { checkpointIn, conflictOf } from "./copied-checkpoint.ts";
import { ColumnMaker, type Columns, kindValues } from "./columns.ts";
import type { Destination, NoteKind, SeenCopy, SeenLog, Source, SourceEntry, SourceNote, Step } from "./destination.ts";
import { bytesAt, LibsqlConnection, numberAt, type ServerPlace, valuesOf } from "./libsql-connection.ts";
import { COPY_DDL, COPY_VERSION } from "./libsql-schema.ts";
import { namedSegment, recordedEvent, type RecordedEvent, strangeSegment } from "./recorded-events.ts";

/** Of one transaction. */
const ENTRIES_MAX = 1000;
const LEAVES_BYTES_MAX = 512 * 1024;
const NOTES_MAX = 200;
/** Pruned entries whose tiles are taken at a time. */
const PRUNED_MAX = 64 * TILE_WIDTH;
/** More than any leaf is long: where a leaf starts and how long it is are one number. */
const PLACE = 65_536;
const HASH_BYTES = 32;

const NOTE_KINDS: readonly NoteKind[] = ["checkpoint", "cosigned", "stamp"];

/** `?3` holds the leaves and `?4` their hashes, one behind the other; `?5` lists the rest of each entry. */
const INSERT_ENTRIES = `INSERT OR IGNORE INTO weir_entry
SELECT ?1, ?2 + key, substr(?3, (value ->> 0) / ${PLACE} + 1, (value ->> 0) % ${PLACE}),
substr(?4, key * ${HASH_BYTES} + 1, ${HASH_BYTES}), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(?5)`;
const INSERT_KINDS = `INSERT OR IGNORE INTO weir_kind
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9
FROM json_each(?)`;

/** Where the copy is with what does not grow entry by entry. */
type Progress = {
  next: number;
  /** By kind of note, the last one shipped: its size, and its bytes, since cosignatures are added to a note. */
  readonly notes: Map<NoteKind, { readonly size: number; readonly note: Uint8Array }>;
};

export class LibsqlCopy implements Destination {
  readonly name = "libsql";
  readonly where: string;
  readonly #connection: LibsqlConnection;
  #progress: Progress | null = null;
  #caveat: string | null = null;
  #columns: ColumnMaker | null = null;
  /** Kinds that are there already. */
  readonly #kinds = new Set<number>();

  constructor(place: ServerPlace) {
    this.#connection = new LibsqlConnection(place);
    this.where = this.#connection.where;
  }

  get caveat(): string | null {
    return this.#caveat;
  }

  async step(source: Source): Promise<Step> {
    try {
      this.#progress ??= await this.#resume(source);
      return await this.#ship(source, this.#progress);
    } catch (error) {
      this.#progress = null;
      this.#kinds.clear();
      throw error;
    }
  }

  async seen(log: SeenLog): Promise<SeenCopy> {
    const tables = await this.#connection.read("SELECT count(*) FROM sqlite_schema WHERE name = 'weir_entry'");
    return numberAt(valuesOf(tables)[0], 0) === 0 ? { size: 0, conflict: null } : this.#seen(log);
  }

  async #seen(log: SeenLog): Promise<SeenCopy> {
    const { origin } = log;
    const [last] = valuesOf(
      await this.#connection.read("SELECT idx, hash FROM weir_entry WHERE origin = ? ORDER BY idx DESC LIMIT 1", [
        origin,
      ]),
    );
    const entries = last === undefined ? 0 : numberAt(last, 0) + 1;
    const checkpoints = await this.#connection.read(
      "SELECT size, note FROM weir_checkpoint WHERE origin = ? ORDER BY size DESC LIMIT 1",
      [origin],
    );
    const [newest] = valuesOf(checkpoints);
    const size = Math.max(entries, newest === undefined ? 0 : numberAt(newest, 0));
    if (size > log.size) {
      return { size, conflict: `the copy has ${size} entries of ${origin}, and this log only ${log.size}` };
    }
    const own = entries === 0 ? null : log.hash(entries - 1);
    if (own !== null && Buffer.compare(own, bytesAt(last, 1)) !== 0) {
      return { size, conflict: `the copy has another entry ${entries - 1} of ${origin} than this log` };
    }
    const checkpoint = newest === undefined ? null : checkpointIn(bytesAt(newest, 1));
    return { size, conflict: checkpoint === null ? null : conflictOf(checkpoint, log) };
  }

  async #resume(source: Source): Promise<Progress> {
    await this.#connection.write([...COPY_DDL]);
    const versions = valuesOf(await this.#connection.read("SELECT max(version) FROM weir_copy"));
    if (numberAt(versions[0], 0) !== COPY_VERSION) {
      throw new ShipError("its tables are of another version of weir: update the gateways that ship there");
    }
    const { origin } = source;
    const { conflict } = await this.#seen(source);
    if (conflict !== null) throw new CopyForked(conflict);
    const last = await this.#connection.read("SELECT max(idx) FROM weir_entry WHERE origin = ?", [origin]);
    const value = valuesOf(last)[0]?.[0];
    const notes: Progress["notes"] = new Map();
    for (const kind of NOTE_KINDS) {
      const sql = `SELECT size, note FROM weir_${kind} WHERE origin = ? ORDER BY size DESC LIMIT 1`;
      const [row] = valuesOf(await this.#connection.read(sql, [origin]));
      if (row !== undefined) notes.set(kind, { size: numberAt(row, 0), note: bytesAt(row, 1) });
    }
    this.#columns = new ColumnMaker(
      (index) => source.entries(index, 1, 1).find((each) => each.index === index)?.leaf ?? null,
    );
    return { next: typeof value === "number" ? value + 1 : 0, notes };
  }

  async #ship(source: Source, progress: Progress): Promise<Step> {
    const { origin } = source;
    const from = progress.next;
    const { first } = source;
    const entries = from < first ? [] : source.entries(from, ENTRIES_MAX, LEAVES_BYTES_MAX);
    for (const entry of entries) {
      const event = recordedEvent(entry);
      if (event !== null) await this.#recorded(source, event);
    }
    // Of what was pruned before it was shipped there are only the tiles.
    const to = from < first ? Math.min(first, from + PRUNED_MAX) : from + entries.length;
    const statements: InStatement[] = entries.length === 0 ? [] : this.#entryStatements(origin, from, entries);
    statements.push(...tileStatements(source, from, to));
    const shipped: [NoteKind, SourceNote][] = [];
    let isMore = to < source.size;
    for (const kind of NOTE_KINDS) {
      const last = progress.notes.get(kind);
      const found = source.notes(kind, last?.size ?? 0, to, NOTES_MAX);
      if (found.length === NOTES_MAX) isMore = true;
      for (const note of found) {
        if (note.size === last?.size && Buffer.compare(note.note, last.note) === 0) continue;
        shipped.push([kind, note]);
        // A stamp or a cosigned note may be replaced by a better one; a checkpoint of the log's own never changes.
        const or = kind === "checkpoint" ? "IGNORE" : "REPLACE";
        statements.push({
          sql: `INSERT OR ${or} INTO weir_${kind} VALUES (?, ?, ?, ?)`,
          args: [origin, note.size, note.timeMs, note.note],
        });
      }
    }
    if (statements.length > 0) {
      statements.push({
        sql: "SELECT idx, hash FROM weir_entry WHERE origin = ? AND idx >= ? AND idx < ? ORDER BY idx",
        args: [origin, from, to],
      });
      const results = await this.#connection.write(statements);
      expectSame(entries, valuesOf(results.at(-1)));
    }
    progress.next = to;
    for (const [kind, note] of shipped) progress.notes.set(kind, note);
    return { size: to, isMore };
  }

  #entryStatements(origin: string, from: number, entries: readonly SourceEntry[]): InStatement[] {
    const kinds = new Map<number, readonly unknown[]>();
    const places: unknown[] = [];
    let bytes = 0;
    for (const entry of entries) {
      const columns = this.#columns?.of(entry);
      if (columns === undefined) throw new ShipError("nothing is known of the copy yet");
      if (!this.#kinds.has(columns.kindId)) kinds.set(columns.kindId, [columns.kindId, ...kindValues(columns.kind)]);
      places.push([bytes * PLACE + entry.leaf.length, ...rest(columns)]);
      bytes += entry.leaf.length;
    }
    const statements: InStatement[] = [];
    if (kinds.size > 0) statements.push({ sql: INSERT_KINDS, args: [JSON.stringify([...kinds.values()])] });
    const leaves = Buffer.concat(entries.map(({ leaf }) => leaf));
    const hashes = Buffer.concat(entries.map(({ hash }) => hash));
    statements.push({ sql: INSERT_ENTRIES, args: [origin, from, leaves, hashes, JSON.stringify(places)] });
    if (this.#kinds.size > KINDS_KNOWN_MAX) this.#kinds.clear();
    for (const id of kinds.keys()) this.#kinds.add(id);
    return statements;
  }

  /** Copies what an entry speaks of, before the entry. What is no longer in the folder (pruned, shredded) is left out. */
  async #recorded(source: Source, event: RecordedEvent): Promise<void> {
    const { origin } = source;
    const { recording } = event;
    if (event.kind === "shredded") {
      const sql = "DELETE FROM weir_wrapped_key WHERE origin = ? AND recording = ?";
      await this.#connection.write([{ sql, args: [origin, recording] }]);
      return;
    }
    if (event.kind === "segment") {
      const segment = namedSegment(source, event);
      if (segment === "strange") this.#caveat = strangeSegment(event);
      if (segment === null || segment === "strange") return;
      const { startedMs, sha256, data } = segment;
      await this.#connection.write([
        {
          sql: "INSERT OR IGNORE INTO weir_segment VALUES (?, ?, ?, ?, ?, ?, ?)",
          args: [origin, recording, event.stream, event.number, startedMs, sha256, data],
        },
      ]);
      return;
    }
    const described = source.recording(recording);
    // At the beginning alone: the log then says in its order whether the key was deleted later.
    const key = event.kind === "started" ? source.wrappedKey(recording) : null;
    const statements: InStatement[] = [];
    if (described !== null) {
      const { session, kind, issuer, subject, target, startedMs, endedMs } = described;
      statements.push({
        sql: "INSERT OR REPLACE INTO weir_recording VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        args: [origin, recording, session, kind, issuer, subject, target, startedMs, endedMs],
      });
    }
    if (key !== null) {
      const sql = "INSERT OR IGNORE INTO weir_wrapped_key VALUES (?, ?, ?)";
      statements.push({ sql, args: [origin, recording, key] });
    }
    if (statements.length > 0) await this.#connection.write(statements);
  }
}

/** Kinds remembered as being there; more are sent again. */
const KINDS_KNOWN_MAX = 100_000;

function rest({ timeMs, kindId, session, role, rows, bytes }: Columns): readonly unknown[] {
  return [timeMs, kindId, session, role, rows, bytes];
}

/** The tiles that have become full with the entries from one index up to another. */
function tileStatements(source: Source, from: number, to: number): InStatement[] {
  const statements: InStatement[] = [];
  for (let level = 0; fullTiles(to, level) > 0; level++) {
    for (let index = fullTiles(from, level); index < fullTiles(to, level); index++) {
      statements.push({
        sql: "INSERT OR IGNORE INTO weir_tile VALUES (?, ?, ?, ?)",
        args: [source.origin, level, index, source.tile(level, index, TILE_WIDTH)],
      });
    }
  }
  return statements;
}

/** Throws when the server does not hold exactly these entries where it was told to. */
function expectSame(entries: readonly SourceEntry[], rows: readonly (readonly unknown[])[]): void {
  for (const [at, { index, hash }] of entries.entries()) {
    const row = rows[at];
    if (row === undefined || numberAt(row, 0) !== index) {
      throw new ShipError(`the server says that it has taken entry ${index}, and does not have it`);
    }
    if (Buffer.compare(hash, bytesAt(row, 1)) !== 0) {
      throw new CopyForked(`the copy has another entry ${index} than this log`);
    }
  }
}
