/** Turns what the client gets of one operation into lines: its columns, its rows, its COPY data, and what failed. */
import { ByteBuilder } from "../../../src/wire/byte-builder.ts";
import { readInt32 } from "../../../src/wire/framer.ts";
import { decodeErrorFields, decodeRowDescription } from "../protocol/backend.ts";
import { BACKEND } from "../protocol/types.ts";
import { readCells, type Cell } from "./cells.ts";
import { CopyData } from "./copy-data.ts";
import { type TextEncoding, valueHex, valueText } from "./value-text.ts";

/** One line of rows has so many, or so many bytes of them, and what comes in one piece from the server at most. */
const LINE_ROWS_MAX = 256;
const LINE_BYTES_MAX = 64 * 1024;
/** So much is kept of one message: what is longer is cut. */
const MESSAGE_BYTES_MAX = 512 * 1024;
const HEADER_BYTES = 5;
const BINARY = 1;
const NO_VALUE = -1;

/** Messages that are handed over whole, also where others pass in parts. */
const COLLECTED = new Set<number>([BACKEND.notice, BACKEND.rowDescription]);
/** All that tells something. */
const LOOKED_AT = new Set<number>([
  ...COLLECTED,
  BACKEND.copyData,
  BACKEND.dataRow,
  BACKEND.functionCallResponse,
  BACKEND.noData,
]);
/** The words of an error that a client shows, as psql calls them. */
const SHOWN_FIELDS = [
  ["D", "DETAIL"],
  ["H", "HINT"],
  ["W", "CONTEXT"],
] as const;

/** Where the lines go; each throws RecordingFailed. */
export type OutputWriter = {
  columns(names: readonly string[]): void;
  rows(rows: readonly (readonly Cell[])[]): void;
  note(text: string): void;
};

/** An error, as the client got it. */
export type Told = { readonly code: string | null; readonly message: string };

export class OutputLines {
  readonly #encoding: TextEncoding;
  readonly #writer: OutputWriter;
  /** What the next rows are, until it is written down. */
  #columns: readonly string[] | null = null;
  #formats: readonly number[] = [];
  #rows: Cell[][] = [];
  #bytes = 0;
  #copy: CopyData | null = null;
  /** The message that comes in parts, as far as it is kept. */
  readonly #message = new ByteBuilder();
  #type = 0;
  #messageBytes = 0;
  #left = 0;
  /** Of a FunctionCall: 1 when the result is binary; null: not known. */
  resultFormat: number | null = null;
  /** The last error. */
  told: Told | null = null;

  constructor(encoding: TextEncoding, writer: OutputWriter) {
    this.#encoding = encoding;
    this.#writer = writer;
  }

  looksAt(type: number): boolean {
    return LOOKED_AT.has(type);
  }

  /** Must messages of this type come as a whole? */
  collects(type: number): boolean {
    return COLLECTED.has(type);
  }

  /** The body of a message, whole. */
  message(type: number, bytes: Uint8Array, start: number, end: number): void {
    switch (type) {
      case BACKEND.rowDescription:
        return this.#describe(bytes.subarray(start, end));
      case BACKEND.noData:
        this.#columns = null;
        this.#formats = [];
        return;
      case BACKEND.dataRow:
        return this.#row(bytes, start, end, end - start);
      case BACKEND.copyData:
        return this.#copyPart(bytes, start, end, true);
      case BACKEND.functionCallResponse:
        return this.#result(bytes, start, end, end - start);
      case BACKEND.notice:
        return this.#notice(bytes.subarray(start, end));
    }
  }

  /** Whole messages with their headers, as one stage has put them in the place of others. */
  messages(bytes: Uint8Array): void {
    for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
      const end = at + 1 + readInt32(bytes, at + 1);
      this.message(bytes[at] ?? 0, bytes, at + HEADER_BYTES, end);
      at = end;
    }
  }

  /** A message that passes in parts, whose body has so many bytes; part() follows. */
  begin(type: number, bodyBytes: number): void {
    this.#type = type;
    this.#messageBytes = bodyBytes;
    this.#left = bodyBytes;
  }

  part(bytes: Uint8Array, start: number, end: number): void {
    this.#left -= end - start;
    if (this.#type === BACKEND.copyData) return this.#copyPart(bytes, start, end, this.#left === 0);
    const message = this.#message;
    const room = MESSAGE_BYTES_MAX - message.length;
    if (room > 0) message.copy(bytes, start, Math.min(end, start + room));
    if (this.#left > 0) return;
    const kept = message.take();
    if (this.#type === BACKEND.dataRow) this.#row(kept, 0, kept.length, this.#messageBytes);
    else if (this.#type === BACKEND.functionCallResponse) this.#result(kept, 0, kept.length, this.#messageBytes);
    else if (this.#type === BACKEND.notice) this.#writer.note(`a notice of ${this.#messageBytes} bytes is left out`);
  }

  /** COPY TO STDOUT begins. */
  copyBegan(isBinary: boolean): void {
    this.#endCopy();
    this.#columns = null;
    this.#writer.columns([isBinary ? "COPY data, binary" : "COPY data"]);
    this.#copy = new CopyData(isBinary, this.#encoding, (piece) => this.#add([piece], piece.length));
  }

  /** A statement is through: what it has no rows of is told, too. */
  completed(): void {
    this.#endCopy();
    this.#writeColumns();
  }

  /** The body of an error that the client gets; null: it is too long to be looked at. */
  failed(body: Uint8Array | null): void {
    if (body === null) {
      this.told = { code: null, message: "(an error that is too long to be kept)" };
      return;
    }
    const { fields } = decodeErrorFields(body);
    this.told = { code: fields.get("C") ?? null, message: wordsOf(fields) };
  }

  /** Writes down what was gathered: nothing goes to the client before it. Throws RecordingFailed. */
  flush(): void {
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    this.#writer.rows(rows);
  }

  end(): void {
    this.#endCopy();
    this.flush();
  }

  #describe(body: Uint8Array): void {
    const fields = decodeRowDescription(body);
    this.flush();
    this.#columns = fields.map(({ name }) => name);
    this.#formats = fields.map(({ format }) => format);
  }

  #writeColumns(): void {
    if (this.#columns === null) return;
    const names = this.#columns;
    this.#columns = null;
    this.flush();
    this.#writer.columns(names);
  }

  /** `bytes` may hold the beginning of it only. */
  #row(bytes: Uint8Array, start: number, end: number, bytesInAll: number): void {
    if (this.#columns !== null) this.#writeColumns();
    const read = readCells(bytes, start, end, this.#formats, this.#encoding);
    if (read === null) return this.#writer.note(`a row of ${bytesInAll} bytes cannot be read`);
    const { cells, left, isCut } = read;
    this.#add(cells, end - start);
    if (left === 0 && !isCut) return;
    this.flush();
    const cut = isCut ? "its last value here is cut, and " : "";
    this.#writer.note(`this row has ${bytesInAll} bytes: ${cut}${left} more values are left out`);
  }

  #add(cells: Cell[], bytes: number): void {
    this.#rows.push(cells);
    this.#bytes += bytes;
    if (this.#rows.length >= LINE_ROWS_MAX || this.#bytes >= LINE_BYTES_MAX) this.flush();
  }

  #copyPart(bytes: Uint8Array, start: number, end: number, isLast: boolean): void {
    const copy = this.#copy;
    if (copy === null) return;
    copy.part(bytes, start, end);
    if (isLast) copy.messages++;
  }

  #endCopy(): void {
    const copy = this.#copy;
    if (copy === null) return;
    this.#copy = null;
    copy.end();
    this.flush();
    this.#writer.note(`COPY: the client got ${copy.bytes} bytes in ${copy.messages} messages`);
  }

  #result(bytes: Uint8Array, start: number, end: number, bytesInAll: number): void {
    const length = readInt32(bytes, start);
    const value = start + 4;
    const last = Math.min(end, value + Math.max(length, 0));
    const isText = this.resultFormat !== null && this.resultFormat !== BINARY;
    const text = isText ? valueText(bytes, value, last, this.#encoding) : valueHex(bytes, value, last);
    this.#add([length === NO_VALUE ? null : text], last - start);
    if (last - value >= length) return;
    this.flush();
    this.#writer.note(`this result has ${bytesInAll} bytes: its end is left out`);
  }

  #notice(body: Uint8Array): void {
    const { fields } = decodeErrorFields(body);
    this.flush();
    this.#writer.note(`${fields.get("S") ?? "NOTICE"}: ${wordsOf(fields)}`);
  }
}

function wordsOf(fields: ReadonlyMap<string, string>): string {
  let words = fields.get("M") ?? "";
  for (const [code, name] of SHOWN_FIELDS) {
    const said = fields.get(code);
    if (said !== undefined) words += `\n${name}: ${said}`;
  }
  return words;
}
