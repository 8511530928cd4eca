/** Gives a WebAssembly module's memory another size to begin with, in the module's own bytes. */

/** https://www.w3.org/TR/wasm-core-1/#binary-module : magic number and version, then sections. */
const HEADER_BYTES = 8;
const MEMORY_SECTION = 5;

/**
 * A copy of a module whose one memory begins with `pages` of 64 KiB, and grows to as much as before. The module's code
 * must ask for what it needs beyond, and its static data and stack must fit. Throws for what is no module with a
 * memory of its own.
 */
export function withInitialPages(module: Uint8Array, pages: number): Uint8Array {
  const bytes = module.slice();
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    const id = bytes[at];
    const size = readUnsigned(bytes, at + 1);
    if (id !== MEMORY_SECTION) {
      at = size.end + size.value;
      continue;
    }
    const count = readUnsigned(bytes, size.end);
    const kind = readUnsigned(bytes, count.end);
    if (count.value !== 1) break;
    writeUnsigned(bytes, kind.end, readUnsigned(bytes, kind.end).end, pages);
    return bytes;
  }
  throw new Error("the module has no memory of its own");
}

/** https://www.w3.org/TR/wasm-core-1/#binary-int : LEB128, at most five bytes. */
function readUnsigned(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  throw new Error("the module ends in the middle of a number, or a number is too long");
}

/** In as many bytes as are there, so that no length around it changes. */
function writeUnsigned(bytes: Uint8Array, start: number, end: number, value: number): void {
  if (value >= 2 ** (7 * (end - start))) throw new Error(`there is no room for ${value} pages`);
  let rest = value;
  for (let at = start; at < end; at++) {
    bytes[at] = (rest & 0x7f) | (at + 1 < end ? 0x80 : 0);
    rest >>>= 7;
  }
}
