/** Content masks over what commands and terminals put out: line by line, however the lines come in packets. */
import type { ContentMask } from "../../../src/core/content.ts";
import type { Door, Permit } from "../../../src/core/ports.ts";
import { MaskedStream } from "./masked-stream.ts";

/** What is typed shows this much later; what a program writes in one go comes within it. */
const TERMINAL_FLUSH_MS = 10;
/** Parts of a private key come from the target with longer pauses than those of a line. */
const TERMINAL_KEY_FLUSH_MS = 500;

export interface OutputMask {
  /**
   * What may be shown of it now, which may be a part of `bytes`; the rest of a line is held back until its end is
   * known. Stdout and stderr are streams of their own.
   */
  take(bytes: Uint8Array, isStderr: boolean): Uint8Array;
  /** The rest: at the end of a stream, or when `flushAfterMs` passed without more of it. */
  flush(isStderr: boolean): Uint8Array;
  /**
   * Of a terminal, whose prompts have no newline: to be read after each take(). Null, without a terminal: what has no
   * end of a line waits for the end of the stream, however long that is.
   */
  readonly flushAfterMs: number | null;
}

/**
 * Null: policy obliges to mask nothing of contents. What is flushed of a terminal's line before its end is best effort:
 * of a secret that comes in pieces with pauses between them, what came before the first pause is seen.
 */
export function outputMask(door: Pick<Door, "contentMask">, permit: Permit, isTerminal: boolean): OutputMask | null {
  const { mask } = permit.obligations;
  const content = mask === undefined ? null : door.contentMask(mask);
  return content === null ? null : maskOver(content, isTerminal);
}

/** A content mask over both streams of one operation. */
export function maskOver(content: ContentMask, isTerminal: boolean): OutputMask {
  return new LineMask(content, isTerminal);
}

class LineMask implements OutputMask {
  readonly #isTerminal: boolean;
  readonly #stdout: MaskedStream;
  readonly #stderr: MaskedStream;

  constructor(content: ContentMask, isTerminal: boolean) {
    this.#isTerminal = isTerminal;
    this.#stdout = new MaskedStream(content, isTerminal);
    this.#stderr = new MaskedStream(content, isTerminal);
  }

  get flushAfterMs(): number | null {
    if (!this.#isTerminal) return null;
    return this.#stdout.isInKey || this.#stderr.isInKey ? TERMINAL_KEY_FLUSH_MS : TERMINAL_FLUSH_MS;
  }

  take(bytes: Uint8Array, isStderr: boolean): Uint8Array {
    return this.#of(isStderr).take(bytes);
  }

  flush(isStderr: boolean): Uint8Array {
    return this.#of(isStderr).flush();
  }

  #of(isStderr: boolean): MaskedStream {
    return isStderr ? this.#stderr : this.#stdout;
  }
}
