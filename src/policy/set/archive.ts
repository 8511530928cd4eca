/** A POSIX tar with nothing to choose in it: the same files always give the same bytes, and nothing else is read back. */

/** https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html, "ustar Interchange Format". */
const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
const SIZE_AT = 124;
const SIZE_DIGITS = 11;
const CHECKSUM_AT = 148;

export type Member = { readonly path: string; readonly bytes: Uint8Array };

/** Null when the path fits a member's header, else why not. */
export function pathProblem(path: string): string | null {
  const sizeBytes = Buffer.byteLength(path);
  if (sizeBytes > NAME_BYTES_MAX) return `the path is longer than ${NAME_BYTES_MAX} bytes`;
  return sizeBytes === 0 ? "the path is empty" : null;
}

/** The archive of these members, in the order given. Paths must fit. */
export function writeArchive(members: readonly Member[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { path, bytes } of members) {
    parts.push(header(path, bytes.length), bytes, new Uint8Array(paddingOf(bytes.length)));
  }
  parts.push(new Uint8Array(2 * BLOCK_BYTES));
  return new Uint8Array(Buffer.concat(parts));
}

/** The bytes of the first member, if the archive begins with one of this path as writeArchive would write it; else null. */
export function readFirst(archive: Uint8Array, path: string): Uint8Array | null {
  const digits = Buffer.from(archive.subarray(SIZE_AT, SIZE_AT + SIZE_DIGITS)).toString("latin1");
  const sizeBytes = Number.parseInt(digits, 8);
  if (!Number.isSafeInteger(sizeBytes) || BLOCK_BYTES + sizeBytes > archive.length) return null;
  if (!Buffer.from(header(path, sizeBytes)).equals(archive.subarray(0, BLOCK_BYTES))) return null;
  return archive.subarray(BLOCK_BYTES, BLOCK_BYTES + sizeBytes);
}

/**
 * The bytes of each member of an archive that is exactly the one writeArchive makes of members with these paths and
 * sizes; else null.
 */
export function readArchive(
  archive: Uint8Array,
  layout: readonly { readonly path: string; readonly sizeBytes: number }[],
): readonly Uint8Array[] | null {
  const members: Member[] = [];
  let at = 0;
  for (const { path, sizeBytes } of layout) {
    at += BLOCK_BYTES;
    if (at + sizeBytes > archive.length) return null;
    members.push({ path, bytes: archive.subarray(at, at + sizeBytes) });
    at += sizeBytes + paddingOf(sizeBytes);
  }
  return Buffer.from(writeArchive(members)).equals(archive) ? members.map(({ bytes }) => bytes) : null;
}

function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** A plain file that anybody may read, without owner and time. */
function header(path: string, sizeBytes: number): Uint8Array {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(path, 0, NAME_BYTES_MAX, "utf8");
  block.write("0000644\0", NAME_BYTES_MAX, "latin1");
  block.write("0000000\0".repeat(2), 108, "latin1");
  block.write(`${sizeBytes.toString(8).padStart(SIZE_DIGITS, "0")}\0`, SIZE_AT, "latin1");
  block.write(`${"0".repeat(SIZE_DIGITS)}\0`, 136, "latin1");
  // While it is summed up, the checksum counts as spaces.
  block.write(`${" ".repeat(8)}0`, CHECKSUM_AT, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, CHECKSUM_AT, "latin1");
  return block;
}
