/** The parameters of a Bind and the arguments of a FunctionCall, which are laid out alike, as transcripts have them. */
import { ByteBuilder } from "../../../src/wire/byte-builder.ts";
import { readCells, readFormatCodes, type Cell } from "./cells.ts";
import { type TextEncoding, valueHex } from "./value-text.ts";

/** So much of the parameters of one message is kept. */
const PARAMETER_BYTES_MAX = 512 * 1024;
/** Of what cannot be read. */
const UNREADABLE_BYTES_MAX = 1024;

/** The parameters of a message that comes in parts: the beginning of them, and how many bytes there were. */
export class ParameterBytes {
  readonly #kept = new ByteBuilder();
  length = 0;

  take(part: Uint8Array): void {
    this.length += part.length;
    const room = PARAMETER_BYTES_MAX - this.#kept.length;
    if (room > 0) this.#kept.copy(part, 0, Math.min(room, part.length));
  }

  kept(): Uint8Array {
    return this.#kept.take();
  }
}

export type Parameters = { readonly parameters: readonly Cell[]; readonly notes: readonly string[] };

/** `bytes` may be the beginning of `bytesInAll`. */
export function readParameters(bytes: Uint8Array, bytesInAll: number, encoding: TextEncoding): Parameters {
  const formats = readFormatCodes(bytes, 0);
  const read = formats === null ? null : readCells(bytes, formats.end, bytes.length, formats.codes, encoding);
  if (read === null) {
    const shown = valueHex(bytes, 0, Math.min(bytes.length, UNREADABLE_BYTES_MAX));
    return { parameters: [], notes: [`its parameters, ${bytesInAll} bytes, cannot be read; they begin with ${shown}`] };
  }
  const { cells, left, isCut } = read;
  if (left === 0 && !isCut) return { parameters: cells, notes: [] };
  const cut = isCut ? `the last of these parameters is cut, and ` : "";
  return { parameters: cells, notes: [`${cut}${left} more are left out: they have ${bytesInAll} bytes in all`] };
}

/** The format of a FunctionCall's result, which stands at its end. */
export function resultFormat(argumentBytes: Uint8Array): number {
  return ((argumentBytes.at(-2) ?? 0) << 8) | (argumentBytes.at(-1) ?? 0);
}
