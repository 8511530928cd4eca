/** One stream of output behind a content mask: whole lines are masked, what is no whole line yet is held back. */
import type { ContentMask } from "../../../src/core/content.ts";
import { ByteBuilder } from "../../../src/wire/byte-builder.ts";
import { wholeCharacters } from "../characters.ts";
import { ESC, maskEscapedLine, maskLine, REDACTED } from "./mask-line.ts";

/** A longer line is redacted whole: so much is held back of one. */
export const LINE_BYTES_MAX = 1024 * 1024;
/** A private key in lines is looked for so far from its beginning; what follows is shown again. */
export const KEY_BYTES_MAX = 64 * 1024;
/** A terminal's line is shown in parts; so much of it is remembered, and at least so much. */
const REMEMBERED_BYTES_MAX = 4096;
const REMEMBERED_BYTES_MIN = 1024;

const LF = 0x0a;
const CR = 0x0d;
const NOTHING = new Uint8Array(0);
const KEY_BEGINS = Buffer.from("-----BEGIN ");
const KEY_ENDS = Buffer.from("-----END ");
/** Before a line that lies within a key, so that it is looked at as such. */
const WITHIN_KEY = Buffer.from("-----BEGIN PRIVATE KEY-----\n");

/**
 * A line ends with LF or CR. Without a terminal, the output is the same however the bytes come. With one, flush() shows
 * what is held; when more of the line comes, it is masked as a whole and what differs from what was shown is written.
 */
export class MaskedStream {
  readonly #content: ContentMask;
  readonly #isTerminal: boolean;
  readonly #out = new ByteBuilder();
  /** What was not decided on: the beginning of a line, or the lines of a key whose end has not come. */
  #held = Buffer.allocUnsafe(256);
  #heldBytes = 0;
  /** Where the line that is not complete begins, in what is held. */
  #lineAt = 0;
  #isInKey = false;
  /** The line at work is too long: it was redacted, and the rest of it is dropped. */
  #isDropping = false;
  /** What was already shown for what is held, and for how much of it. */
  #shown: Uint8Array = NOTHING;
  #shownBytes = 0;

  constructor(content: ContentMask, isTerminal: boolean) {
    this.#content = content;
    this.#isTerminal = isTerminal;
  }

  /** Is a private key held back, whose end has not come? */
  get isInKey(): boolean {
    return this.#isInKey;
  }

  /** What may be shown now; it may be a part of `bytes`. */
  take(bytes: Uint8Array): Uint8Array {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const ends = new LineEnds(view);
    const escapes = new Places(view, ESC);
    const out = this.#out;
    const mayOpenKey = view.includes(KEY_BEGINS);
    // What lies between `from` and `at` is shown as it came.
    let from = 0;
    for (let at = 0; at < view.length;) {
      const end = ends.after(at);
      const stop = end === -1 ? view.length : end;
      const isHeld = this.#heldBytes > 0 || this.#isDropping;
      if (isHeld || end === -1 || (mayOpenKey && this.#opensKey(view, at, end))) {
        out.copy(view, from, at);
        from = stop;
        this.#hold(view, at, stop);
        if (end !== -1) this.#endLine(view[end - 1] ?? LF);
      } else {
        const masked = this.#masked(view, at, end - 1, escapes.from(at) < end);
        if (masked !== null) {
          out.copy(view, from, at);
          out.copy(masked, 0, masked.length);
          from = end - 1;
        }
      }
      at = stop;
    }
    if (out.length === 0) return bytes.subarray(from);
    out.copy(view, from, view.length);
    return out.take();
  }

  /** What may be shown of what is held: all of it at the end of the stream, or though more may come, of a terminal. */
  flush(): Uint8Array {
    if (this.#heldBytes === 0) return NOTHING;
    if (this.#isTerminal && !this.#isInKey) this.#showPart();
    else this.#showAll();
    return this.#out.take();
  }

  #opensKey(view: Buffer, start: number, end: number): boolean {
    const begins = view.indexOf(KEY_BEGINS, start);
    return begins !== -1 && begins < end && this.#content.isWithin(view, start, end - 1);
  }

  #masked(view: Buffer, start: number, end: number, hasEscape: boolean): Uint8Array | null {
    if (end === start) return null;
    if (end - start > LINE_BYTES_MAX) return REDACTED;
    return (hasEscape ? maskEscapedLine : maskLine)(this.#content, view, start, end);
  }

  #hold(view: Buffer, start: number, end: number): void {
    if (this.#isDropping) return;
    const needed = this.#heldBytes + end - start;
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#held.length));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    view.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = needed;
    if (this.#isTerminal) {
      if (needed - this.#lineAt > KEY_BYTES_MAX) this.#showPart();
      return;
    }
    const last = this.#held[needed - 1];
    const lineBytes = needed - this.#lineAt - (last === LF || last === CR ? 1 : 0);
    if (lineBytes <= LINE_BYTES_MAX) return;
    this.#out.copy(REDACTED, 0, REDACTED.length);
    this.#forget();
    this.#isDropping = true;
  }

  /** The line that was held is complete. */
  #endLine(terminator: number): void {
    if (this.#isDropping) {
      this.#isDropping = false;
      this.#out.add(terminator);
      return;
    }
    this.#isInKey = this.#keyGoesOn();
    this.#lineAt = this.#heldBytes;
    if (!this.#isInKey || this.#heldBytes > KEY_BYTES_MAX) this.#showAll();
  }

  #keyGoesOn(): boolean {
    const line = this.#held.subarray(this.#lineAt, this.#heldBytes);
    if (this.#isInKey) {
      if (!line.includes(KEY_ENDS)) return true;
      const within = Buffer.concat([WITHIN_KEY, line]);
      return this.#content.isWithin(within, 0, within.length - 1);
    }
    return line.includes(KEY_BEGINS) && this.#content.isWithin(line, 0, line.length - 1);
  }

  /** Shows what is held; nothing of it is remembered. */
  #showAll(): void {
    this.#show(this.#heldBytes);
    this.#forget();
  }

  /** Shows what is held, and remembers it: more of the line may come. */
  #showPart(): void {
    const whole = wholeCharacters(this.#held, 0, this.#heldBytes);
    // A character that is never completed is shown when it was waited for once.
    const end = whole <= this.#shownBytes ? this.#heldBytes : whole;
    this.#shown = this.#show(end);
    this.#shownBytes = end;
    if (this.#heldBytes <= REMEMBERED_BYTES_MAX) return;
    const start = end - REMEMBERED_BYTES_MIN;
    this.#held.copyWithin(0, start, this.#heldBytes);
    this.#heldBytes -= start;
    this.#shownBytes = REMEMBERED_BYTES_MIN;
    this.#lineAt = 0;
    this.#shown = this.#maskedOrNot(REMEMBERED_BYTES_MIN);
  }

  /** Puts out what is held up to here, but for what was shown; answers with all that it becomes. */
  #show(end: number): Uint8Array {
    const text = this.#maskedOrNot(end);
    const shown = this.#shown;
    let same = 0;
    while (same < shown.length && same < text.length && shown[same] === text[same]) same++;
    this.#out.copy(text, same, text.length);
    return text;
  }

  #maskedOrNot(end: number): Uint8Array {
    const last = this.#held[end - 1];
    const contentEnd = last === LF || last === CR ? end - 1 : end;
    const text = this.#held.subarray(0, end);
    const masked = this.#masked(text, 0, contentEnd, text.includes(ESC));
    return masked === null ? text : Buffer.concat([masked, text.subarray(contentEnd)]);
  }

  #forget(): void {
    this.#heldBytes = 0;
    this.#lineAt = 0;
    this.#isInKey = false;
    this.#shown = NOTHING;
    this.#shownBytes = 0;
  }
}

/** The ends of lines in one piece of output. */
class LineEnds {
  readonly #lf: Places;
  readonly #cr: Places;
  readonly #length: number;

  constructor(view: Buffer) {
    this.#lf = new Places(view, LF);
    this.#cr = new Places(view, CR);
    this.#length = view.length;
  }

  /** Behind the first end of a line from this place on; -1: there is none. */
  after(at: number): number {
    const first = Math.min(this.#lf.from(at), this.#cr.from(at));
    return first === this.#length ? -1 : first + 1;
  }
}

/** Where one byte stands in a piece of output: each stretch of it is looked through once. */
class Places {
  readonly #view: Buffer;
  readonly #byte: number;
  #next = -1;

  constructor(view: Buffer, byte: number) {
    this.#view = view;
    this.#byte = byte;
  }

  /** The first from this place on, which is never before the last one asked for; the length of the piece when there is none. */
  from(at: number): number {
    if (this.#next >= at) return this.#next;
    const found = this.#view.indexOf(this.#byte, at);
    this.#next = found === -1 ? this.#view.length : found;
    return this.#next;
  }
}
