/** C2SP tlog-proof: that one entry is in the log, as a text that whoever has the log's key verifies without the log. */
import { readCheckpoint, readSize, unverifiedText } from "./note.ts";
import { ProofError } from "./proofs.ts";
import { SHA256_BYTES } from "./sha256.ts";
import type { LogTree } from "./tree.ts";

const HEADER = "c2sp.org/tlog-proof@v1";
const EXTRA = "extra ";
const INDEX = "index ";
/** tlog-proof: no tree has a longer inclusion proof. */
const HASHES_MAX = 63;

/** What a proof file says. Nothing of it is verified; `extra` is not even covered by the proof. */
export type ProofFile = {
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
  /** The signed note of a checkpoint. */
  readonly note: string;
  readonly extra: Uint8Array | null;
};

/** The proof that an entry is in the tree of a checkpoint. Throws RangeError when it is not, NoteError for what is no checkpoint. */
export function proofFile(tree: LogTree, index: number, note: string): string {
  const { size } = readCheckpoint(unverifiedText(note));
  const hashes = tree.inclusionProof(index, size).map((hash) => Buffer.from(hash).toString("base64"));
  return [HEADER, `${INDEX}${index}`, ...hashes, "", note].join("\n");
}

/**
 * Reads a proof file, strictly. Throws ProofError. To verify it: openNote() with the log's key, then verifyInclusion()
 * of the entry's leaf hash with the checkpoint's size and root.
 */
export function readProofFile(text: string): ProofFile {
  const end = text.indexOf("\n\n");
  if (end === -1) throw new ProofError("a proof file has an empty line before its checkpoint");
  const [header, ...lines] = text.slice(0, end).split("\n");
  if (header !== HEADER) throw new ProofError(`a proof file begins with ${HEADER}`);
  let extra: Uint8Array | null = null;
  if (lines[0]?.startsWith(EXTRA) === true) {
    extra = decode(lines[0].slice(EXTRA.length));
    if (extra === null) throw new ProofError("what follows extra is not base64");
    lines.shift();
  }
  const line = lines.shift() ?? "";
  const index = line.startsWith(INDEX) ? readSize(line.slice(INDEX.length)) : null;
  if (index === null) throw new ProofError("a proof file has a line with index and a number in plain decimal digits");
  if (lines.length > HASHES_MAX) throw new ProofError(`a proof has at most ${HASHES_MAX} hashes`);
  const hashes = lines.map((base64) => {
    const hash = decode(base64);
    if (hash?.length !== SHA256_BYTES) throw new ProofError("a hash of the proof is not 32 base64 bytes");
    return hash;
  });
  return { index, hashes, note: text.slice(end + 2), extra };
}

/** Standard base64 with its padding, and nothing else; null when it is not. */
function decode(base64: string): Uint8Array | null {
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("base64") === base64 ? bytes : null;
}
