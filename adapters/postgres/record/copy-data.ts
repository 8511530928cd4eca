/** COPY data on its way into a transcript: pieces that end with a whole character, and how much it was. */
import { ByteBuilder } from "../../../src/wire/byte-builder.ts";
import { readInt32 } from "../../../src/wire/framer.ts";
import { type TextEncoding, valueHex, valueText, wholeCharacters } from "./value-text.ts";

/** The most of one piece, so that no line of a transcript has to be cut. */
const PIECE_BYTES_MAX = 64 * 1024;
const HEADER_BYTES = 5;

/** One COPY, in one direction. */
export class CopyData {
  readonly isBinary: boolean;
  readonly #encoding: TextEncoding;
  readonly #onPiece: ((piece: string) => void) | null;
  /** The beginning of a character whose end has not come. */
  readonly #held = new ByteBuilder();
  /** What is still to come of the message at work. */
  #left = 0;
  messages = 0;
  bytes = 0;

  /** `onPiece` null: it is only counted. */
  constructor(isBinary: boolean, encoding: TextEncoding, onPiece: ((piece: string) => void) | null) {
    this.isBinary = isBinary;
    this.#encoding = encoding;
    this.#onPiece = onPiece;
  }

  /** CopyData messages as they came, with their headers; the last one may be incomplete, and goes on with the next call. */
  messagesPart(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#left === 0) {
        this.#left = readInt32(bytes, at + 1) - 4;
        this.messages++;
        at += HEADER_BYTES;
      }
      const stop = Math.min(at + this.#left, end);
      this.#left -= stop - at;
      this.part(bytes, at, stop);
      at = stop;
    }
  }

  /** What lies between the two places is data. */
  part(bytes: Uint8Array, start: number, end: number): void {
    this.bytes += end - start;
    const onPiece = this.#onPiece;
    if (onPiece === null || start === end) return;
    const held = this.#held;
    let from = start;
    while (held.length > 0 && from < end) {
      held.copy(bytes, from, from + 1);
      from++;
      const character = held.take();
      if (wholeCharacters(character, 0, character.length) === character.length || character.length > 3) {
        onPiece(this.#text(character, 0, character.length));
      } else held.copy(character, 0, character.length);
    }
    while (from < end) {
      const stop = Math.min(from + PIECE_BYTES_MAX, end);
      const last = this.isBinary || this.#encoding === "ascii" ? stop : wholeCharacters(bytes, from, stop);
      if (last > from) onPiece(this.#text(bytes, from, last));
      if (last === from || (stop === end && last < end)) {
        held.copy(bytes, last, stop);
        return;
      }
      from = last;
    }
  }

  /** No more comes. */
  end(): void {
    if (this.#held.length === 0) return;
    const rest = this.#held.take();
    this.#onPiece?.(this.#text(rest, 0, rest.length));
  }

  #text(bytes: Uint8Array, start: number, end: number): string {
    return this.isBinary ? valueHex(bytes, start, end) : valueText(bytes, start, end, this.#encoding);
  }
}
