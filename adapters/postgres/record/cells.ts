/** Cells as DataRow, Bind and FunctionCall lay them out (a count, then lengths and bytes), read as far as they are there. */
import { readInt32 } from "../../../src/wire/framer.ts";
import { type TextEncoding, valueHex, valueText, wholeCharacters } from "./value-text.ts";

const NO_VALUE = -1;
const BINARY = 1;

/** Null: SQL's NULL. */
export type Cell = string | null;

/**
 * `left` cells are not there at all, and when `isCut` the last of those that are there has an end missing: of a message
 * that is longer than what is kept of one. `end`: behind the last byte that was read.
 */
export type Cells = { readonly cells: Cell[]; readonly left: number; readonly isCut: boolean; readonly end: number };

/** A count and that many format codes, and where they end; null when they are not all there. */
export function readFormatCodes(bytes: Uint8Array, start: number): { codes: number[]; end: number } | null {
  const end = start + 2 + 2 * readUint16(bytes, start);
  if (end > bytes.length) return null;
  const codes: number[] = [];
  for (let at = start + 2; at < end; at += 2) codes.push(readUint16(bytes, at));
  return { codes, end };
}

/** `formats`: none for all text, one for all, or one for each. Null: the bytes are no cells. */
export function readCells(
  bytes: Uint8Array,
  start: number,
  end: number,
  formats: readonly number[],
  encoding: TextEncoding,
): Cells | null {
  if (end - start < 2) return null;
  const count = readUint16(bytes, start);
  const cells: Cell[] = [];
  let at = start + 2;
  for (let index = 0; index < count; index++) {
    if (end - at < 4) return { cells, left: count - index, isCut: false, end };
    const length = readInt32(bytes, at);
    at += 4;
    if (length < NO_VALUE) return null;
    if (length === NO_VALUE) {
      cells.push(null);
      continue;
    }
    const isBinary = (formats.length === 1 ? formats[0] : formats[index]) === BINARY;
    if (length > end - at) {
      const last = isBinary ? end : wholeCharacters(bytes, at, end);
      cells.push(isBinary ? valueHex(bytes, at, last) : valueText(bytes, at, last, encoding));
      return { cells, left: count - index - 1, isCut: true, end };
    }
    cells.push(isBinary ? valueHex(bytes, at, at + length) : valueText(bytes, at, at + length, encoding));
    at += length;
  }
  return { cells, left: 0, isCut: false, end: at };
}

function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
