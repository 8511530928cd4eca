/** Reads raw rows by their primary keys: SELECTs of the gateway's own, on a connection and under a login of its own. */
import { readInt32 } from "../../../src/wire/framer.ts";
import { decodeUtf8 } from "../../../src/wire/reader.ts";
import type { RawSource } from "../mask/raw-shape.ts";
import { encodeBind, encodeExecute, encodeParse, encodeSync } from "../protocol/frontend.ts";
import { HouseQueryError, type Cells, type TextRow } from "../query.ts";
import { quoteIdentifier } from "../quote.ts";
import { relationFacts, type Origin } from "./relation-key.ts";

/** A connection that nobody else uses. */
export interface RawConnection {
  /** False: it is gone, and another must be opened. */
  readonly isUsable: boolean;
  query(sql: string): Promise<readonly TextRow[]>;
  ask(messages: Uint8Array): Promise<readonly Cells[]>;
  close(): void;
}

/** How the rows of one relation are found again. */
export type RawKey = {
  readonly source: RawSource;
  /** `schema.relation`, for people. */
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly origins: readonly Origin[] }[];
  readonly sql: string;
  readonly typeOids: readonly number[];
};

/** What is asked for before the client's statement is sent. */
export type Beginning = {
  /** Rows of older transactions than this were committed by then, or never will be. */
  readonly oldestRunning: bigint;
  readonly keys: readonly RawKey[];
};

export type RawRow = {
  /** The key's columns, then the masked ones, as text. */
  readonly cells: readonly (string | null)[];
  /** It is the very version that a statement has seen whose snapshot was taken behind the Beginning. */
  readonly isOlder: boolean;
  readonly bytes: number;
};

/** Raw rows cannot be had, for this reason: the end of a sentence, for people. */
export class RawRefused extends Error {
  readonly code = "RAW_REFUSED";
}

export class RawReader {
  readonly #open: () => Promise<RawConnection>;
  #connection: RawConnection | null = null;
  #isClosed = false;

  /** `open` rejects when there is no connection to be had. */
  constructor(open: () => Promise<RawConnection>) {
    this.#open = open;
  }

  /** To be awaited before the client's statement is sent. Rejects with RawRefused, or why it cannot be asked for. */
  async begin(sources: readonly RawSource[]): Promise<Beginning> {
    const connection = await this.#connected();
    const [oldest, ...rows] = await connection.query(
      `${OLDEST_RUNNING}; ${sources.map(relationFacts.query).join("; ")}`,
    );
    const keys = sources.map((source) => keyOf(source, rows));
    return { oldestRunning: BigInt(oldest?.[0] ?? 0), keys };
  }

  /**
   * The rows with these keys, in their order, each there once. `formats` are those of the keys' columns: 0 is text, 1
   * binary. Rejects as begin().
   */
  async read(
    key: RawKey,
    values: readonly Cells[],
    formats: readonly number[],
    { oldestRunning }: Beginning,
  ): Promise<readonly RawRow[]> {
    const connection = await this.#connected();
    const rows = await connection.ask(lookUps(key, values, formats)).catch((error: unknown) => {
      throw error instanceof HouseQueryError ? answeredBy(error, key) : error;
    });
    if (rows.length !== values.length) throw notThere(key);
    return rows.map(([version, ...cells], index) => {
      const own = values[index] ?? [];
      const found = cells.slice(0, own.length);
      // Whatever settings its text depends on: it is the same row only if its key is written in the same way.
      if (!own.every((value, at) => isSame(value, found[at] ?? null))) throw notThere(key);
      return {
        cells: cells.slice(own.length).map((cell) => (cell === null ? null : decodeUtf8(cell))),
        isOlder: isOlder(version ?? null, oldestRunning),
        bytes: cells.reduce((sum, cell) => sum + (cell?.length ?? 0), 0),
      };
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#connection?.close();
    this.#connection = null;
  }

  async #connected(): Promise<RawConnection> {
    if (this.#connection?.isUsable === true) return this.#connection;
    this.#connection?.close();
    this.#connection = null;
    const connection = await this.#open();
    if (this.#isClosed) {
      connection.close();
      throw new Error("the session has ended");
    }
    this.#connection = connection;
    return connection;
  }
}

const INSUFFICIENT_PRIVILEGE = "42501";

/** The class of errors about values. */
const DATA_EXCEPTION = "22";

/** What the server says about values stays here: it may quote them. */
function answeredBy({ sqlState }: HouseQueryError, key: RawKey): Error {
  if (sqlState === INSUFFICIENT_PRIVILEGE)
    return new RawRefused("the target's login may not read them, or only through row security");
  if (sqlState.startsWith(DATA_EXCEPTION)) return notThere(key);
  return new Error(`the server answers with SQLSTATE ${sqlState}`);
}

function notThere({ name }: RawKey): RawRefused {
  return new RawRefused(
    `a row of "${name}" that it shows is not found by its key: it is gone by now, not committed yet, or its key is written in another way`,
  );
}

const OLDEST_RUNNING = "SELECT pg_snapshot_xmin(pg_current_snapshot())";

function keyOf(source: RawSource, rows: readonly TextRow[]): RawKey {
  const { relation, columns, isOnly } = source;
  const facts = relationFacts.read(relation.oid, rows);
  const name = `${relation.schema}.${relation.name}`;
  const because = facts.because;
  if (because !== null) throw new RawRefused(`"${name}" ${because}`);
  const hidden = facts.key.find(({ name: own }) => relation.columns.some((each) => each.name === own && each.mask));
  if (hidden !== undefined) throw new RawRefused(`"${name}.${hidden.name}" is masked, and belongs to its primary key`);
  const own = facts.key.map((column) => quoteIdentifier(column.name));
  const shown = ["xmin", ...own, ...own, ...columns.map(quoteIdentifier)].join(", ");
  const from = `${isOnly ? "ONLY " : ""}${quoteIdentifier(relation.schema)}.${quoteIdentifier(relation.name)}`;
  const where = own.map((column, index) => `${column} = $${index + 1}`).join(" AND ");
  return {
    source,
    name,
    columns: facts.key,
    sql: `SELECT ${shown} FROM ${from} WHERE ${where}`,
    typeOids: facts.key.map(({ typeOid }) => typeOid),
  };
}

/** One Parse, and a Bind and an Execute for each key. */
function lookUps(key: RawKey, values: readonly Cells[], formats: readonly number[]): Uint8Array {
  const text = Array.from({ length: formats.length + key.source.columns.length }, () => 0);
  const resultFormats = [0, ...formats, ...text];
  const execute = encodeExecute("");
  const messages = [encodeParse("", key.sql, key.typeOids)];
  for (const parameters of values) {
    messages.push(
      encodeBind({ portal: "", statement: "", parameterFormats: formats, parameters, resultFormats }),
      execute,
    );
  }
  messages.push(encodeSync());
  return Buffer.concat(messages);
}

function isSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a !== null && b !== null && Buffer.compare(a, b) === 0;
}

/** Transaction ids of rows have 32 bits and are compared in a circle; those below 3 are always old. */
function isOlder(version: Uint8Array | null, oldestRunning: bigint): boolean {
  if (version === null) return false;
  const own = Number(decodeUtf8(version));
  if (own < 3) return true;
  const distance = new Uint8Array(4);
  new DataView(distance.buffer).setUint32(0, (own - Number(oldestRunning & 0xffffffffn)) >>> 0);
  return readInt32(distance, 0) < 0;
}
