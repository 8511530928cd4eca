/** What the tests send, and how they tell that it arrived. */
import { createHash } from "node:crypto";

/** Bytes of every value in no simple order, the same each time. */
export function sampleBytes(count: number): Uint8Array {
  const block = createHash("sha512").update("weir").digest();
  const made = Buffer.alloc(count);
  for (let i = 0; i < count; i++) made[i] = (block[i % block.length] ?? 0) ^ (i >>> 6) ^ (i >>> 14);
  return made;
}

/** SHA-256, in hex as sha256sum prints it. */
export function digest(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
