/** A log in memory with a key of its own, for what speaks to witnesses: entries, signed checkpoints and proofs. */
import { leafHash, nodeHash } from "../src/audit/merkle.ts";
import { checkpointText, newSigner, signNote } from "../src/audit/note.ts";
import type { NoteSigner } from "../src/audit/note.ts";
import { consistencyRanges, split } from "../src/audit/proofs.ts";
import { sha256 } from "../src/audit/sha256.ts";

export class ToyLog {
  readonly origin: string;
  readonly signer: NoteSigner;
  readonly #hashes: Uint8Array[] = [];

  /** With another log's signer: a second tree of the same origin. */
  constructor(origin: string, entries = 0, signer = newSigner(origin, "ed25519").signer) {
    this.origin = origin;
    this.signer = signer;
    for (let i = 0; i < entries; i++) this.append(`entry ${i}`);
  }

  get vkey(): string {
    return this.signer.verifier.vkey;
  }

  get size(): number {
    return this.#hashes.length;
  }

  append(text: string): void {
    const hash = new Uint8Array(32);
    leafHash(new Uint8Array(Buffer.from(`.${text}`)), hash);
    this.#hashes.push(hash);
  }

  root(size = this.size): Uint8Array {
    return size === 0 ? sha256("") : this.#subtree(0, size);
  }

  proof(from: number, to = this.size): Uint8Array[] {
    return consistencyRanges(from, to).map((range) => this.#subtree(range.from, range.to));
  }

  note(size = this.size, signers: readonly NoteSigner[] = [this.signer]): string {
    return signNote(checkpointText({ origin: this.origin, size, root: this.root(size), extensions: [] }), signers);
  }

  #subtree(from: number, to: number): Uint8Array {
    const [only] = this.#hashes.slice(from, to);
    if (only === undefined) throw new RangeError(`the log has no entry ${from}`);
    if (to - from === 1) return only;
    const middle = from + split(to - from);
    return nodeHash(this.#subtree(from, middle), this.#subtree(middle, to));
  }
}
