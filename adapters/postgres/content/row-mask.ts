/** Masks what the cells of rows hold: DataRow messages in, and the same or other DataRow messages out. */
import type { ContentMask, MaskedContent } from "../../../src/core/content.ts";
import { readInt32 } from "../../../src/wire/framer.ts";
import { WireError } from "../../../src/wire/wire-error.ts";
import { Writer } from "../../../src/wire/writer.ts";
import type { FieldDescription } from "../protocol/rows.ts";
import { BACKEND } from "../protocol/types.ts";
import { type CellKind, cellKind } from "./cell-kinds.ts";
import { maskBinaryList } from "./binary-list.ts";

const NO_VALUE = -1;
/** Of binary jsonb. */
const VERSION_BYTES = 1;

const utf8 = new TextEncoder();

export class RowMask {
  readonly #mask: ContentMask;
  #kinds: readonly CellKind[] | null = null;

  constructor(mask: ContentMask) {
    this.#mask = mask;
  }

  /**
   * The rows that come now have these columns, in these formats as Bind asked for them (none: all text; one: all of
   * it); left out: as the description says. Null: what the columns are is not known, and a cell that holds something
   * becomes NULL.
   */
  begin(fields: readonly FieldDescription[] | null, formats?: readonly number[]): void {
    this.#kinds =
      fields?.map(({ typeOid, format }, index) => {
        if (formats === undefined) return cellKind(typeOid, format);
        return cellKind(typeOid, (formats.length === 1 ? formats[0] : formats[index]) ?? 0);
      }) ?? null;
  }

  /** The message to send instead of the DataRow whose body this is; null: that one. Throws WireError. */
  row(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    if (end - start < 2) throw new WireError("WIRE_SHORT", "a row ends before its columns");
    const count = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
    const kinds = this.#kinds;
    if (kinds !== null && kinds.length !== count) {
      throw new WireError("WIRE_RANGE", `a row has ${count} columns where ${kinds.length} were described`);
    }
    let out: Writer | null = null;
    let from = start;
    let at = start + 2;
    for (let column = 0; column < count; column++) {
      if (end - at < 4) throw new WireError("WIRE_SHORT", "a row ends within its columns");
      const length = readInt32(bytes, at);
      const cell = at + 4;
      const next = length === NO_VALUE ? cell : cell + length;
      if (length < NO_VALUE || next > end) throw new WireError("WIRE_RANGE", `a cell of a row has ${length} bytes`);
      const masked = length <= 0 ? null : this.#cell(kinds?.[column] ?? "whole", bytes, cell, next);
      if (masked !== null) {
        out ??= new Writer(end - start + 64).begin(BACKEND.dataRow);
        out.raw(bytes.subarray(from, at));
        if (masked === "absent") out.i32(NO_VALUE);
        else out.i32(masked.length).raw(masked);
        from = next;
      }
      at = next;
    }
    if (at !== end) throw new WireError("WIRE_TRAILING", "a row goes on behind its columns");
    return out === null ? null : out.raw(bytes.subarray(from, end)).end().take();
  }

  #cell(kind: CellKind, bytes: Uint8Array, start: number, end: number): MaskedContent {
    switch (kind) {
      case "never":
        return null;
      case "text":
      case "json":
      case "parts":
        return this.#mask.mask(bytes, start, end, kind);
      case "jsonb": {
        const masked = this.#mask.mask(bytes, start + VERSION_BYTES, end, "json");
        if (masked === null || masked === "absent") return masked;
        const versioned = new Uint8Array(VERSION_BYTES + masked.length);
        versioned.set(bytes.subarray(start, start + VERSION_BYTES));
        versioned.set(masked, VERSION_BYTES);
        return versioned;
      }
      case "list":
        return maskBinaryList(this.#mask, bytes, start, end);
      case "int4":
      case "int8":
        return this.#holdsInteger(bytes.subarray(start, end)) ? "absent" : null;
      case "whole":
        return this.#mask.holds(bytes, start, end) ? "absent" : null;
    }
  }

  #holdsInteger(cell: Uint8Array): boolean {
    if (cell.length !== 4 && cell.length !== 8) return true;
    const view = new DataView(cell.buffer, cell.byteOffset, cell.length);
    const text = utf8.encode(String(cell.length === 4 ? view.getInt32(0) : view.getBigInt64(0)));
    return this.#mask.holds(text, 0, text.length);
  }
}
