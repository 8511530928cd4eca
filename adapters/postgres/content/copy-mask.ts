/** Masks what the cells of COPY data hold, in the order in which bytes come, wherever they were parted. */
import type { ContentMask } from "../../../src/core/content.ts";
import { ByteBuilder } from "../../../src/wire/byte-builder.ts";
import type { CopySyntax } from "./copy-syntax.ts";

/** What is longer is not waited for: it is redacted whole. The most that is held back of a stream. */
export const CELL_BYTES_MAX = 1024 * 1024;

const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const REDACTED = new TextEncoder().encode("***");
/** Characters behind a backslash, and what they stand for (COPY's text format). */
const ESCAPES = "bfnrtv";
const ESCAPED = "\b\f\n\r\t\v";

/**
 * Bytes in, masked bytes out: rows stay rows, so what ends with a row comes out whole. Cells are held back until their
 * end has come.
 */
export class CopyMask {
  readonly #mask: ContentMask;
  readonly #syntax: CopySyntax;
  /** By byte: whether anything but the cell going on could follow from it. */
  readonly #special: Uint8Array;
  readonly #out = new ByteBuilder();
  /** The beginning of a cell whose end has not come. */
  readonly #held = new ByteBuilder();
  /** The cell at work was too long: what is left of it goes nowhere. */
  #isSwallowing = false;
  /** Within quotes; or behind an escape. */
  #isQuoted = false;
  #isEscaped = false;

  constructor(mask: ContentMask, syntax: CopySyntax) {
    this.#mask = mask;
    this.#syntax = syntax;
    this.#special = new Uint8Array(256);
    const special = syntax.format === "text" ? [BACKSLASH] : [syntax.quote, syntax.escape];
    for (const byte of [NEWLINE, syntax.delimiter, ...special]) this.#special[byte] = 1;
  }

  /** What is to be sent instead of the bytes between the two places; null: those. */
  push(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    const special = this.#special;
    const out = this.#out;
    out.clear();
    let isChanged = false;
    let cell = start;
    /** Up to here all of this chunk is put out, or stands for something that is. */
    let from = start;
    for (let at = start; at < end; at++) {
      const byte = bytes[at] ?? 0;
      if (special[byte] === 0 && !this.#isEscaped) continue;
      if (!this.#ends(byte)) continue;
      const masked = this.#cell(bytes, cell, at);
      if (masked !== null) {
        isChanged = true;
        out.copy(bytes, from, cell);
        out.copy(masked, 0, masked.length);
        from = at;
      }
      cell = at + 1;
    }
    if (cell < end) {
      isChanged = true;
      out.copy(bytes, from, cell);
      if (!this.#hold(bytes, cell, end)) out.copy(REDACTED, 0, REDACTED.length);
      from = end;
    }
    if (!isChanged) return null;
    out.copy(bytes, from, end);
    return out.take();
  }

  /** The data has ended: what was held back of a last row without an end; null: nothing. */
  finish(): Uint8Array | null {
    if (this.#held.length === 0) return null;
    const rest = this.#held.take();
    return this.#masked(rest, 0, rest.length) ?? rest;
  }

  /** Takes the next byte that is special or behind an escape; true: a cell ends before it. */
  #ends(byte: number): boolean {
    const syntax = this.#syntax;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      return false;
    }
    if (syntax.format === "text") {
      if (byte === BACKSLASH) this.#isEscaped = true;
      return byte === syntax.delimiter || byte === NEWLINE;
    }
    if (this.#isQuoted) {
      // Where the escape is the quote, a doubled one ends the quotes and begins them again.
      if (byte === syntax.escape && syntax.escape !== syntax.quote) this.#isEscaped = true;
      else if (byte === syntax.quote) this.#isQuoted = false;
      return false;
    }
    if (byte === syntax.quote) this.#isQuoted = true;
    return byte === syntax.delimiter || byte === NEWLINE;
  }

  /** A cell that ends here; what was held back of it is added. Null: it stays as it is in these bytes. */
  #cell(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    if (this.#isSwallowing) {
      this.#isSwallowing = false;
      return new Uint8Array(0);
    }
    const held = this.#held;
    if (held.length === 0) return this.#masked(bytes, start, end);
    held.copy(bytes, start, end);
    const whole = held.take();
    return this.#masked(whole, 0, whole.length) ?? whole;
  }

  /** Holds back the beginning of a cell. False: now it is too long, and something stands in its place. */
  #hold(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#isSwallowing) return true;
    const held = this.#held;
    if (held.length + end - start > CELL_BYTES_MAX) {
      held.clear();
      this.#isSwallowing = true;
      return false;
    }
    held.copy(bytes, start, end);
    return true;
  }

  #masked(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    const { nullText, format } = this.#syntax;
    if (end === start || equals(bytes, start, end, nullText)) return null;
    if (end - start > CELL_BYTES_MAX) return REDACTED;
    return format === "csv" ? this.#maskedCsv(bytes, start, end) : this.#maskedText(bytes, start, end);
  }

  #maskedText(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    const said = hasByte(bytes, start, end, BACKSLASH) ? unescaped(bytes, start, end) : null;
    const masked =
      said === null ? this.#mask.mask(bytes, start, end, "text") : this.#mask.mask(said, 0, said.length, "text");
    if (masked === null) return null;
    return masked === "absent" ? this.#syntax.nullText : escaped(masked, this.#syntax.delimiter);
  }

  #maskedCsv(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    const syntax = this.#syntax;
    if (syntax.format !== "csv") return null;
    // The return of a row that ends with \r\n is not the cell's.
    const stop = bytes[end - 1] === RETURN && bytes[start] !== syntax.quote ? end - 1 : end;
    const isQuoted = bytes[start] === syntax.quote;
    const said = isQuoted ? unquoted(bytes, start + 1, end - 1, syntax.escape) : null;
    const masked =
      said === null ? this.#mask.mask(bytes, start, stop, "text") : this.#mask.mask(said, 0, said.length, "text");
    if (masked === null) return null;
    const cell = masked === "absent" ? syntax.nullText : quoted(masked, syntax.quote, syntax.escape);
    return stop === end ? cell : withReturn(cell);
  }
}

function equals(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let index = 0; index < other.length; index++) if (bytes[start + index] !== other[index]) return false;
  return true;
}

function hasByte(bytes: Uint8Array, start: number, end: number, byte: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === byte) return true;
  return false;
}

function unescaped(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const said = new Uint8Array(end - start);
  let length = 0;
  for (let at = start; at < end; at++) {
    let byte = bytes[at] ?? 0;
    if (byte === BACKSLASH && at + 1 < end) {
      byte = bytes[++at] ?? 0;
      const index = ESCAPES.indexOf(String.fromCharCode(byte));
      if (index !== -1) byte = ESCAPED.charCodeAt(index);
    }
    said[length++] = byte;
  }
  return said.subarray(0, length);
}

function escaped(bytes: Uint8Array, delimiter: number): Uint8Array {
  const written = new Uint8Array(2 * bytes.length);
  let length = 0;
  for (const byte of bytes) {
    const index = ESCAPED.indexOf(String.fromCharCode(byte));
    if (index !== -1 || byte === BACKSLASH || byte === delimiter) written[length++] = BACKSLASH;
    written[length++] = index === -1 ? byte : ESCAPES.charCodeAt(index);
  }
  return written.subarray(0, length);
}

/** The inside of quotes. */
function unquoted(bytes: Uint8Array, start: number, end: number, escape: number): Uint8Array {
  const said = new Uint8Array(Math.max(end - start, 0));
  let length = 0;
  for (let at = start; at < end; at++) {
    if (bytes[at] === escape && at + 1 < end) at++;
    said[length++] = bytes[at] ?? 0;
  }
  return said.subarray(0, length);
}

function quoted(bytes: Uint8Array, quote: number, escape: number): Uint8Array {
  const written = new Uint8Array(2 * bytes.length + 2);
  let length = 0;
  written[length++] = quote;
  for (const byte of bytes) {
    if (byte === quote || byte === escape) written[length++] = escape;
    written[length++] = byte;
  }
  written[length++] = quote;
  return written.subarray(0, length);
}

function withReturn(cell: Uint8Array): Uint8Array {
  const whole = new Uint8Array(cell.length + 1);
  whole.set(cell);
  whole[cell.length] = RETURN;
  return whole;
}
