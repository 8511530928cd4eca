/** Where characters of UTF-8 end, in bytes that come in pieces. */

const CHARACTER_BYTES_MAX = 4;

/** Where the last character that is complete ends, between the two places; what is no UTF-8 at all is taken for complete. */
export function wholeCharacters(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 1; at >= start && at > end - CHARACTER_BYTES_MAX; at--) {
    const byte = bytes[at] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return at + length > end ? at : end;
  }
  return end;
}
