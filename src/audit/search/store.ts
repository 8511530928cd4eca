/** The search index as its one writer sees it: opened or begun anew, then filled in the order of the log. */
import type Database from "libsql";
import { addEnd, Batch, type Tally } from "./batch.ts";
import { Columns, tailOf } from "./columns.ts";
import { type LogView, openIndex } from "./index-file.ts";
import { Numbers } from "./numbers.ts";
import type { StatementSegment } from "./recorded-statements.ts";
import {
  ID_ITEM_BYTES,
  idHash,
  idRow,
  PART_PAIRS,
  PARTS,
  STRETCH_ENTRIES,
  TAIL_ITEM_BYTES,
  TAIL_WHAT_AT,
} from "./schema.ts";
import { numberOf, Statements } from "./statements.ts";
import { NOBODY, type Trace, traceOf, type What, withStatement } from "./trace.ts";
import { Traces } from "./traces.ts";

/** How many open intents are remembered. */
const OPEN_MAX = 50_000;

/** An intent whose outcome is still to come. */
type Owner = {
  readonly who: number;
  readonly what: What;
  readonly whatId: number;
  readonly session: number;
  readonly isConnect: boolean;
};

const EMPTY = Buffer.alloc(0);

export class SearchStore {
  readonly #database: Database.Database;
  readonly #log: LogView;
  #size: number;
  #first: number;
  readonly #traces = new Traces();
  readonly #open = new Map<number, Owner>();
  readonly #statements: Statements;
  readonly #numbers: Numbers;

  private constructor(database: Database.Database, log: LogView) {
    this.#database = database;
    this.#log = log;
    this.#statements = new Statements(database);
    const [size, first] = this.#statements.row("SELECT size, first FROM meta WHERE id = 1");
    this.#size = numberOf(size);
    this.#first = numberOf(first);
    this.#numbers = new Numbers(this.#statements);
  }

  /** As openIndex(). */
  static open(folder: string, log: LogView, isThorough: boolean): SearchStore {
    const database = openIndex(folder, log, isThorough);
    try {
      const store = new SearchStore(database, log);
      if (log.first > store.#first) store.#prune(log.first);
      return store;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Entries below this are in the index, as far as the log has them still. */
  get size(): number {
    return this.#size;
  }

  /** The most entries that may be appended next: up to the end of a stretch. */
  get room(): number {
    return STRETCH_ENTRIES - (this.#size % STRETCH_ENTRIES);
  }

  /** Takes up the leaves that follow, at most `room`, in one transaction with how far it has come. */
  append(leaves: readonly Uint8Array[]): void {
    if (leaves.length === 0) return;
    if (leaves.length > this.room) throw new RangeError("a batch ends with its stretch");
    const first = this.#size;
    const size = first + leaves.length;
    this.#transact(() => {
      const batch = new Batch(first);
      for (const [at, leaf] of leaves.entries()) this.#take(batch, first + at, this.#traces.of(leaf));
      this.#write(batch);
      if (first === this.#first) {
        this.#statements.run("UPDATE meta SET first_hash = ? WHERE id = 1", [Buffer.from(this.#log.hashOf(first))]);
      }
      this.#statements.run("UPDATE meta SET size = ?, last_hash = ? WHERE id = 1", [
        size,
        Buffer.from(this.#log.hashOf(size - 1)),
      ]);
    });
    this.#size = size;
  }

  /** The number of the last segment of recordings that was taken up. */
  get segment(): number {
    return numberOf(this.#statements.row("SELECT recordings FROM meta WHERE id = 1")[0]);
  }

  /** Adds the words of recorded statements to what their intents' entries say. All entries of the log are in already. */
  addStatements({ number, session, statements }: StatementSegment): void {
    this.#transact(() => {
      for (const { operation, words } of statements) this.#addStatement(session, operation, words);
      this.#statements.run("UPDATE meta SET recordings = ? WHERE id = 1", [number]);
    });
  }

  #addStatement(session: string, operation: string, words: readonly string[]): void {
    const range = this.#statements.row("SELECT first, last FROM session WHERE id = ?", [session]);
    if (range.length === 0) return;
    const [from, to] = [numberOf(range[0]), numberOf(range[1])].map((index) => Math.floor(index / STRETCH_ENTRIES));
    const hash = idHash(operation);
    for (let stretch = to ?? 0; stretch >= (from ?? 0); stretch--) {
      const [items] = this.#statements.row("SELECT items FROM ident WHERE number = ?", [idRow(stretch, hash)]);
      if (!(items instanceof Uint8Array)) continue;
      const view = Buffer.from(items.buffer, items.byteOffset, items.length);
      for (let at = 0; at < view.length; at += ID_ITEM_BYTES) {
        if (view.readUInt32LE(at) !== hash) continue;
        const index = stretch * STRETCH_ENTRIES + view.readUInt16LE(at + 4);
        if (index < this.#log.first) continue;
        const trace = traceOf(this.#log.leafOf(index));
        if (trace.shape !== "intent" || trace.id !== operation || !trace.isReadSql) continue;
        return this.#setWhat(index, this.#numbers.ofWhat(withStatement(trace.what, words)));
      }
    }
  }

  #setWhat(index: number, what: number): void {
    const stretch = Math.floor(index / STRETCH_ENTRIES);
    const place = index % STRETCH_ENTRIES;
    const [dict] = this.#statements.row("SELECT dict FROM stretch WHERE number = ?", [stretch]);
    if (dict instanceof Uint8Array) {
      const row = stretch * PARTS + PART_PAIRS;
      const columns = Columns.ofDict(dict, () => {
        const [items] = this.#statements.row("SELECT items FROM part WHERE number = ?", [row]);
        return items instanceof Uint8Array ? items : EMPTY;
      }).setWhat(place, what);
      this.#statements.run("UPDATE stretch SET dict = ? WHERE number = ?", [columns.dict(), stretch]);
      this.#statements.run("UPDATE part SET items = ? WHERE number = ?", [columns.pairsPart(), row]);
      return;
    }
    const [first, items] = this.#statements.row(
      "SELECT first, items FROM tail WHERE first <= ? ORDER BY first DESC LIMIT 1",
      [index],
    );
    if (typeof first !== "number" || !(items instanceof Uint8Array)) return;
    const changed = Buffer.from(items);
    changed.writeUInt32LE(what, (index - first) * TAIL_ITEM_BYTES + TAIL_WHAT_AT);
    this.#statements.run("UPDATE tail SET items = ? WHERE first = ?", [changed, first]);
  }

  #transact(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      // What was remembered may not be in the file.
      this.#numbers.forget();
      this.#open.clear();
      if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  /* ---- one entry ---- */

  #take(batch: Batch, index: number, trace: Trace): void {
    const { timeMs } = trace;
    for (const id of trace.ids) batch.addId(id, index);
    switch (trace.shape) {
      case "intent": {
        const { isConnect, ended } = trace;
        const session = trace.session.id === "" ? 0 : this.#numbers.ofSession(trace, index);
        const [who, what] = [this.#numbers.ofWho(trace.who), this.#numbers.ofWhat(trace.what)];
        if (ended === null) this.#remember(index, { who, what: trace.what, whatId: what, session, isConnect });
        batch.add({ timeMs, who, what, session });
        const tally = batch.tally(session, index);
        if (isConnect) tally.ended ??= ended;
        else {
          if (trace.isRefusal) tally.refused++;
          else if (!trace.isHouse) tally.permitted++;
          if (ended !== null) addEnd(tally, ended);
        }
        return;
      }
      case "outcome": {
        const { intent, ended } = trace;
        const owner = intent === null ? null : this.#ownerOf(intent, index);
        if (intent !== null) this.#open.delete(intent);
        const what = this.#numbers.ofOutcome(owner, ended);
        batch.add({ timeMs, who: owner?.who ?? this.#numbers.ofWho(NOBODY), what, session: owner?.session ?? 0 });
        if (owner === null) return;
        const tally = batch.tally(owner.session, index);
        if (owner.isConnect) tally.ended ??= ended;
        else addEnd(tally, ended);
        return;
      }
      case "event": {
        const session = trace.sessionId === null ? 0 : (this.#numbers.ofKnownSession(trace.sessionId) ?? 0);
        batch.add({ timeMs, who: this.#numbers.ofWho(trace.who), what: this.#numbers.ofWhat(trace.what), session });
        if (session === 0) return;
        const tally = batch.tally(session, index);
        if (trace.what.event === "recording.started") tally.recordings++;
      }
    }
  }

  #remember(index: number, owner: Owner): void {
    if (this.#open.size >= OPEN_MAX) {
      const oldest = this.#open.keys().next().value;
      if (oldest !== undefined) this.#open.delete(oldest);
    }
    this.#open.set(index, owner);
  }

  /** Of an intent that is no longer remembered the log's own leaf is read again. */
  #ownerOf(intent: number, before: number): Owner | null {
    const known = this.#open.get(intent);
    if (known !== undefined) return known;
    if (!Number.isSafeInteger(intent) || intent < this.#log.first || intent >= before) return null;
    const trace = traceOf(this.#log.leafOf(intent));
    if (trace.shape !== "intent") return null;
    const { what, isConnect } = trace;
    const session = trace.session.id === "" ? 0 : this.#numbers.ofSession(trace, intent);
    return { who: this.#numbers.ofWho(trace.who), what, whatId: this.#numbers.ofWhat(what), session, isConnect };
  }

  /* ---- a batch ---- */

  #write(batch: Batch): void {
    for (const [session, tally] of batch.tallies) this.#addTally(session, tally);
    for (const [row, items] of batch.idRows()) {
      this.#statements.run(
        "INSERT INTO ident VALUES (?, ?) ON CONFLICT DO UPDATE SET items = CAST(items || excluded.items AS BLOB)",
        [row, items],
      );
    }
    const { stretch } = batch;
    this.#statements.run(
      `INSERT INTO stretch VALUES (?, ?, ?, NULL)
       ON CONFLICT DO UPDATE SET from_ms = min(from_ms, excluded.from_ms), to_ms = max(to_ms, excluded.to_ms)`,
      [stretch, batch.fromMs, batch.toMs],
    );
    this.#statements.run("INSERT INTO tail VALUES (?, ?)", [batch.first, tailOf(batch.items)]);
    if ((batch.first + batch.items.length) % STRETCH_ENTRIES === 0) this.#fold(stretch);
  }

  /** A stretch that is full is kept as columns. */
  #fold(stretch: number): void {
    const columns = Columns.ofTails(this.#statements.blobs("SELECT items FROM tail ORDER BY first"));
    this.#statements.run("UPDATE stretch SET dict = ? WHERE number = ?", [columns.dict(), stretch]);
    for (const [part, items] of columns.parts().entries()) {
      this.#statements.run("INSERT INTO part VALUES (?, ?)", [stretch * PARTS + part, items]);
    }
    this.#statements.run("DELETE FROM tail");
  }

  #addTally(session: number, tally: Tally): void {
    const { permitted, refused, failed, rows, bytes, recordings, last, ended } = tally;
    this.#statements.run(
      `UPDATE session SET permitted = permitted + ?, refused = refused + ?, failed = failed + ?, rows = rows + ?,
       bytes = bytes + ?, recordings = recordings + ?, last = max(last, ?), ended_ms = coalesce(ended_ms, ?),
       ended_status = coalesce(ended_status, ?) WHERE number = ?`,
      [
        permitted,
        refused,
        failed,
        rows,
        bytes,
        recordings,
        last,
        ended?.timeMs ?? null,
        ended?.status ?? null,
        session,
      ],
    );
  }

  /* ---- retention ---- */

  /** Forgets what only entries below an index are about: the log has pruned them. */
  #prune(first: number): void {
    const stretch = Math.floor(first / STRETCH_ENTRIES);
    this.#transact(() => {
      this.#statements.run("DELETE FROM stretch WHERE number < ?", [stretch]);
      this.#statements.run("DELETE FROM part WHERE number < ?", [stretch * PARTS]);
      this.#statements.run("DELETE FROM ident WHERE number < ?", [idRow(stretch, 0)]);
      this.#statements.run("DELETE FROM session WHERE last < ?", [first]);
      const { whos, whats } = this.#used();
      for (const [table, used] of [["who", whos] as const, ["what", whats] as const]) {
        const list = JSON.stringify([...used]);
        this.#statements.run(`DELETE FROM ${table}_word WHERE rowid NOT IN (SELECT value FROM json_each(?))`, [list]);
        this.#statements.run(`DELETE FROM ${table} WHERE id NOT IN (SELECT value FROM json_each(?))`, [list]);
      }
      this.#statements.run("DELETE FROM rule WHERE what NOT IN (SELECT id FROM what)");
      this.#statements.run("UPDATE meta SET first = ?, first_hash = ? WHERE id = 1", [
        first,
        Buffer.from(this.#log.hashOf(first)),
      ]);
    });
    this.#numbers.forget();
    this.#first = first;
  }

  /** Of who and what those that occur in a stretch that is left. */
  #used(): { readonly whos: Set<number>; readonly whats: Set<number> } {
    const whos = new Set<number>();
    const whats = new Set<number>();
    const add = (columns: Columns): void => {
      for (const id of columns.whos) whos.add(id);
      for (const id of columns.whats) whats.add(id);
    };
    for (const dict of this.#statements.blobs("SELECT dict FROM stretch WHERE dict IS NOT NULL"))
      add(Columns.ofDict(dict));
    add(Columns.ofTails(this.#statements.blobs("SELECT items FROM tail ORDER BY first")));
    return { whos, whats };
  }
}
