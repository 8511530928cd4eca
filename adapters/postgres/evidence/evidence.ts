/** Seals what stands behind the masks of an operation's rows, before they go on: each row waits until its raw row is sealed. */
import { readInt32 } from "../../../src/wire/framer.ts";
import type { RawSource } from "../mask/raw-shape.ts";
import { decodeDataRow, decodeRowDescription } from "../protocol/backend.ts";
import { BACKEND } from "../protocol/types.ts";
import type { Cells } from "../query.ts";
import type { Transcript } from "../record/transcript.ts";
import { type Beginning, type RawKey, type RawReader, RawRefused, type RawRow } from "./raw-reader.ts";

/** Of one operation: what is more is not shown. */
const ROWS_MAX = 100_000;
const BYTES_MAX = 64 * 1024 * 1024;
/** Of one raw row, so that no line of a transcript has to be cut. */
const ROW_BYTES_MAX = 128 * 1024;
/** So many rows wait for one reading at most. */
const BATCH_ROWS_MAX = 500;
/** One line of the transcript has so many raw rows, and so many bytes of them, or one. */
const LINE_ROWS_MAX = 256;
const LINE_BYTES_MAX = 64 * 1024;
const HEADER_BYTES = 5;

/** A key with the places of its columns in the rows that come, and the raw rows that are wanted. */
type Wanted = {
  readonly key: RawKey;
  readonly places: readonly number[];
  readonly formats: readonly number[];
  readonly values: Map<string, Cells>;
};

export class Evidence {
  readonly #reader: RawReader;
  readonly #sources: readonly RawSource[];
  #transcript: Transcript | null = null;
  #isFresh = false;
  #beginning: Beginning | null = null;
  #wanted: readonly Wanted[] | null = null;
  #rows = 0;
  #bytes = 0;
  /** So many rows from here on are sealed. */
  #sealed = 0;
  #gathered = 0;
  isReading = false;

  constructor(reader: RawReader, sources: readonly RawSource[]) {
    this.#reader = reader;
    this.#sources = sources;
  }

  /** To be awaited before the statement is sent. Rejects with RawRefused, or why nothing can be asked for. */
  async begin(): Promise<void> {
    this.#beginning = await this.#reader.begin(this.#sources);
  }

  /** The statement is being sent. `isFresh`: its snapshot will not be older than begin(). */
  sent(transcript: Transcript, isFresh: boolean): void {
    this.#transcript = transcript;
    this.#isFresh = isFresh;
  }

  /** The body of the RowDescription of the rows that come. Null: their keys are there; else why they cannot be sealed. */
  describe(body: Uint8Array): string | null {
    const fields = decodeRowDescription(body);
    const wanted: Wanted[] = [];
    for (const key of this.#beginning?.keys ?? []) {
      const places = key.columns.map(({ origins }) =>
        fields.findIndex(({ tableOid, column }) =>
          origins.some((origin) => origin.tableOid === tableOid && origin.column === column),
        ),
      );
      const missing = key.columns[places.indexOf(-1)];
      if (missing !== undefined)
        return `its result has no column "${missing.name}" of "${key.name}", whose primary key tells which rows it shows`;
      const formats = places.map((place) => fields[place]?.format ?? 0);
      wanted.push({ key, places, formats, values: new Map() });
    }
    this.#wanted = wanted;
    return null;
  }

  /** Is the next row sealed? Then it counts as passed. */
  mayPass(): boolean {
    if (this.#sealed === 0) return false;
    this.#sealed--;
    return true;
  }

  /** Takes the keys of the whole DataRow messages that stand from here on; answers how many there are. */
  gather(bytes: Uint8Array, start: number): number {
    let at = start;
    let count = 0;
    while (count < BATCH_ROWS_MAX && at + HEADER_BYTES <= bytes.length && bytes[at] === BACKEND.dataRow) {
      const end = at + 1 + readInt32(bytes, at + 1);
      if (end > bytes.length) break;
      this.#want(bytes, at + HEADER_BYTES, end);
      at = end;
      count++;
    }
    this.#gathered = count;
    return count;
  }

  /** Reads and seals what was gathered; then that may pass. Rejects with RawRefused, RecordingFailed, or why it cannot be read. */
  async seal(): Promise<void> {
    const beginning = this.#beginning;
    const transcript = this.#transcript;
    if (beginning === null || transcript === null || this.#wanted === null)
      throw new Error("rows came before their keys");
    this.isReading = true;
    try {
      for (const { key, formats, values } of this.#wanted) {
        if (values.size === 0) continue;
        this.#rows += values.size;
        if (this.#rows > ROWS_MAX) throw new RawRefused(`it shows more than ${ROWS_MAX} of them`);
        const keys = [...values.values()];
        values.clear();
        this.#write(transcript, key, await this.#reader.read(key, keys, formats, beginning));
      }
      this.#sealed = this.#gathered;
    } finally {
      this.isReading = false;
    }
  }

  #want(bytes: Uint8Array, start: number, end: number): void {
    const cells = decodeDataRow(bytes.slice(start, end));
    for (const { places, values } of this.#wanted ?? []) {
      const own = places.map((place) => cells[place] ?? null);
      // Nothing of the relation is in this row: it stands on the other side of an outer join.
      if (own.every((cell) => cell === null)) continue;
      values.set(own.map((cell) => (cell === null ? "" : Buffer.from(cell).toString("hex"))).join("."), own);
    }
  }

  #write(transcript: Transcript, key: RawKey, rows: readonly RawRow[]): void {
    const relation = key.name;
    const names = [...key.columns.map(({ name }) => name), ...key.source.columns];
    let line: RawRow[] = [];
    let lineBytes = 0;
    const flush = (): void => {
      if (line.length === 0) return;
      const unproven = line.flatMap(({ isOlder }, index) => (isOlder && this.#isFresh ? [] : [index]));
      const cells = line.map((row) => row.cells);
      transcript.raw({ relation, names, rows: cells, ...(unproven.length === 0 ? {} : { unproven }) });
      line = [];
      lineBytes = 0;
    };
    for (const row of rows) {
      this.#bytes += row.bytes;
      if (row.bytes > ROW_BYTES_MAX) throw new RawRefused(`one has more than ${ROW_BYTES_MAX} bytes`);
      if (this.#bytes > BYTES_MAX) throw new RawRefused(`they have more than ${BYTES_MAX} bytes together`);
      if (line.length >= LINE_ROWS_MAX || lineBytes + row.bytes > LINE_BYTES_MAX) flush();
      line.push(row);
      lineBytes += row.bytes;
    }
    flush();
  }
}
