/** Masks the elements of an array of texts in binary format. https://www.postgresql.org/docs/18/arrays.html; the format is array_send's (arrayfuncs.c). */
import type { ContentMask, MaskedContent } from "../../../src/core/content.ts";
import { readInt32 } from "../../../src/wire/framer.ts";
import { Writer } from "../../../src/wire/writer.ts";

/** Dimensions, whether there are NULLs, the type of the elements. */
const HEADER_BYTES = 12;
/** Length and lower bound. */
const DIMENSION_BYTES = 8;
const NULLS_AT = 4;
const DIMENSIONS_MAX = 6;

/** What cannot be read as one becomes absent. */
export function maskBinaryList(mask: ContentMask, bytes: Uint8Array, start: number, end: number): MaskedContent {
  if (end - start < HEADER_BYTES) return "absent";
  const dimensions = readInt32(bytes, start);
  if (dimensions < 0 || dimensions > DIMENSIONS_MAX) return "absent";
  let at = start + HEADER_BYTES + DIMENSION_BYTES * dimensions;
  let out: Writer | null = null;
  let hasNull = false;
  let from = start;
  while (at < end) {
    if (end - at < 4) return "absent";
    const length = readInt32(bytes, at);
    const element = at + 4;
    const next = length === -1 ? element : element + length;
    if (length < -1 || next > end) return "absent";
    const masked = length <= 0 ? null : mask.mask(bytes, element, next, "text");
    if (masked !== null) {
      out ??= new Writer(end - start + 64);
      out.raw(bytes.subarray(from, at));
      if (masked === "absent") out.i32(-1);
      else out.i32(masked.length).raw(masked);
      hasNull ||= masked === "absent";
      from = next;
    }
    at = next;
  }
  if (at !== end) return "absent";
  if (out === null) return null;
  const list = out.raw(bytes.subarray(from, end)).take();
  if (hasNull) list[NULLS_AT + 3] = 1;
  return list;
}
