/** Draws entries for a sample so that anybody can draw the same ones, and nobody could choose them. */
import { sha256 } from "../sha256.ts";

export const SAMPLES_MAX = 10_000;

/**
 * `count` different indices from `from` on and before `to`, in order; all of them when there are no more. The i-th draw
 * is SHA-256 of the seed, a colon and i in decimal; its first six bytes, as a big-endian number, modulo the size.
 */
export function drawSample(seed: string, from: number, to: number, count: number): number[] {
  const size = to - from;
  if (size <= count) return Array.from({ length: Math.max(0, size) }, (_, i) => from + i);
  const drawn = new Set<number>();
  for (let i = 0; drawn.size < count; i++) {
    const hash = Buffer.from(sha256(`${seed}:${i}`));
    drawn.add(from + (hash.readUIntBE(0, 6) % size));
  }
  return [...drawn].toSorted((a, b) => a - b);
}
