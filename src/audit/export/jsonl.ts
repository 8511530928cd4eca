/** Entries as lines of JSON: each leaf as it was hashed, and what proves that it is in the log. */
import type { SelectedEntry } from "./selection.ts";

/** Answers the hashes of an inclusion proof of an entry in the tree that the checkpoint is of. */
export type Prove = (index: number) => readonly Uint8Array[];

/**
 * `{"hash", "leaf"}` as `weir audit tail --json` prints it; with proofs `index` and `proof` (base64, the lowest sibling
 * first) come before the leaf. The leaf stands there byte by byte as it is hashed: it is what follows `"leaf":`, up to
 * the last brace.
 */
export function jsonLine({ index, hash, json }: SelectedEntry, prove: Prove | null): string {
  const hex = Buffer.from(hash).toString("hex");
  if (prove === null) return `{"hash":"${hex}","leaf":${json}}`;
  const proof = prove(index).map((sibling) => Buffer.from(sibling).toString("base64"));
  return `{"hash":"${hex}","index":${index},"proof":${JSON.stringify(proof)},"leaf":${json}}`;
}

/** The last line of an export with proofs: the signed note that all of them lead to. */
export function checkpointLine(note: string): string {
  return JSON.stringify({ checkpoint: note });
}
