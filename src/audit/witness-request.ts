/** The body of an add-checkpoint request (C2SP tlog-witness), written by a log and read by its witness. */
import { decodeBase64, NOTE_BYTES_MAX, NoteError, readSize } from "./note.ts";
import { SHA256_BYTES } from "./sha256.ts";

/** tlog-witness: no more lines of a consistency proof than this. */
const PROOF_HASHES_MAX = 63;
/** A hash in base64 with its newline. */
const PROOF_LINE_BYTES = 45;
/** A request is not longer than this: the old size, the proof, an empty line and a note. */
export const REQUEST_BYTES_MAX = 64 + PROOF_HASHES_MAX * PROOF_LINE_BYTES + NOTE_BYTES_MAX;

/** How the size of a log is called in the answer to a request that rests on another one. */
export const SIZE_TYPE = "text/x.tlog.size";

/** `oldSize`: what the log believes to be the last size that the witness has cosigned. */
export type AddCheckpoint = {
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  readonly note: string;
};

export function formatRequest({ oldSize, proof, note }: AddCheckpoint): string {
  const hashes = proof.map((hash) => `${Buffer.from(hash).toString("base64")}\n`);
  return `old ${oldSize}\n${hashes.join("")}\n${note}`;
}

/** Throws NoteError. The note itself is not looked at. */
export function readRequest(body: Uint8Array): AddCheckpoint {
  if (body.length > REQUEST_BYTES_MAX) throw new NoteError(`a request has at most ${REQUEST_BYTES_MAX} bytes`);
  const text = utf8(body);
  const end = text.indexOf("\n\n");
  if (end === -1) throw new NoteError("a request has an empty line before the checkpoint");
  const [first = "", ...lines] = text.slice(0, end).split("\n");
  const oldSize = first.startsWith("old ") ? readSize(first.slice("old ".length)) : null;
  if (oldSize === null) throw new NoteError("the first line of a request is `old` and a size in plain decimal digits");
  if (lines.length > PROOF_HASHES_MAX) throw new NoteError(`a proof has at most ${PROOF_HASHES_MAX} hashes`);
  const proof = lines.map((line) => {
    const hash = decodeBase64(line);
    if (hash?.length !== SHA256_BYTES) throw new NoteError("a line of the proof is not a hash of 32 base64 bytes");
    return hash;
  });
  return { oldSize, proof, note: text.slice(end + 2) };
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new NoteError("a request is UTF-8");
  }
}
