/** Output as the lines of a transcript hold it: pieces of text that tear no character, and of base64 where it is no text. */
import { wholeCharacters } from "../characters.ts";

/** The most of one piece: written as JSON at six bytes for one, it still fits into a line. */
const PIECE_BYTES_MAX = 65_536;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export type OutputPiece = { readonly text: string } | { readonly base64: string };

/** One stream of output. Its pieces put together are its bytes. */
export class OutputPieces {
  /** The beginning of a character whose end has not come. */
  #held: Uint8Array = new Uint8Array(0);

  *take(bytes: Uint8Array): Generator<OutputPiece> {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    for (let from = 0; from < all.length;) {
      const stop = Math.min(from + PIECE_BYTES_MAX, all.length);
      const last = wholeCharacters(all, from, stop);
      if (last === from) {
        this.#held = all.slice(from);
        return;
      }
      yield pieceOf(all.subarray(from, last));
      from = last;
    }
    this.#held = new Uint8Array(0);
  }

  /** What is left at the end. */
  *rest(): Generator<OutputPiece> {
    if (this.#held.length > 0) yield pieceOf(this.#held);
    this.#held = new Uint8Array(0);
  }
}

function pieceOf(bytes: Uint8Array): OutputPiece {
  try {
    return { text: decoder.decode(bytes) };
  } catch {
    return { base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64") };
  }
}
