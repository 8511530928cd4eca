/** How a part of a text looks when it is masked, and what holds where several masks meet. */
import { createHmac } from "node:crypto";
import type { MaskTransform } from "../core/obligation.ts";
import type { ByteBuilder } from "../wire/byte-builder.ts";

export const REDACTED = "***";
/** Of a keyed hash, in hexadecimal. */
const HASH_CHARS = 32;

/** The stricter of two: the same stays, of two partials the smaller, any two different are redacted. */
export function joinTransforms(a: MaskTransform, b: MaskTransform): MaskTransform {
  if (a.with === "partial" && b.with === "partial") {
    return {
      with: "partial",
      keepFirst: Math.min(a.keepFirst, b.keepFirst),
      keepLast: Math.min(a.keepLast, b.keepLast),
    };
  }
  return a.with === b.with ? a : { with: "redact" };
}

/** Writes what stands in place of the bytes between the two places; `hashKey` null: a hash is redacted. */
export function writeMasked(
  out: ByteBuilder,
  transform: MaskTransform,
  bytes: Uint8Array,
  start: number,
  end: number,
  hashKey: Uint8Array | null,
): void {
  if (transform.with === "hash" && hashKey !== null) {
    const digest = createHmac("sha256", hashKey).update(bytes.subarray(start, end)).digest("hex");
    out.text(digest.slice(0, HASH_CHARS));
    return;
  }
  if (transform.with !== "partial") {
    out.text(REDACTED);
    return;
  }
  const { keepFirst, keepLast } = transform;
  const first = after(bytes, start, end, keepFirst);
  const last = before(bytes, start, end, keepLast);
  // Where what is kept is all there is, nothing is.
  if (first >= last) {
    out.text(REDACTED);
    return;
  }
  out.copy(bytes, start, first);
  out.text(REDACTED);
  out.copy(bytes, last, end);
}

/** Where so many characters of UTF-8 from the beginning end. */
function after(bytes: Uint8Array, start: number, end: number, characters: number): number {
  let at = start;
  for (let left = characters; left > 0 && at < end; left--) {
    at++;
    while (at < end && isContinuation(bytes[at] ?? 0)) at++;
  }
  return at;
}

/** Where so many characters of UTF-8 before the end begin. */
function before(bytes: Uint8Array, start: number, end: number, characters: number): number {
  let at = end;
  for (let left = characters; left > 0 && at > start; left--) {
    at--;
    while (at > start && isContinuation(bytes[at] ?? 0)) at--;
  }
  return at;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
