/** Messages that describe and carry results: rows, parameters, COPY and the fast path's answer. https://www.postgresql.org/docs/18/protocol-message-formats.html */
import { Reader } from "../../../src/wire/reader.ts";
import { Writer } from "../../../src/wire/writer.ts";
import { ProtocolError } from "./protocol-error.ts";
import { BACKEND } from "./types.ts";
import { readFormats, readValue, readValues, writeFormats, writeValue, writeValues } from "./values.ts";

/** Names of columns are for reading only: they may be in any encoding and are never compared. */
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** One column of a RowDescription. `tableOid` and `column` are 0 when it comes from no table. */
export type FieldDescription = {
  readonly name: string;
  readonly tableOid: number;
  readonly column: number;
  readonly typeOid: number;
  /** Bytes; negative for types of no fixed length. */
  readonly typeLength: number;
  readonly typeModifier: number;
  /** 0 is text, 1 binary. */
  readonly format: number;
};

/** A name's NUL and six numbers. */
const FIELD_BYTES_MIN = 19;

export function decodeRowDescription(body: Uint8Array): readonly FieldDescription[] {
  const reader = new Reader(body);
  const count = reader.u16();
  reader.expect(count, FIELD_BYTES_MIN);
  const fields = Array.from({ length: count }, () => ({
    name: lenient.decode(reader.cstring()),
    tableOid: reader.u32(),
    column: reader.i16(),
    typeOid: reader.u32(),
    typeLength: reader.i16(),
    typeModifier: reader.i32(),
    format: reader.i16(),
  }));
  reader.end();
  return fields;
}

/** The types of a prepared statement's parameters. */
export function decodeParameterDescription(body: Uint8Array): readonly number[] {
  const reader = new Reader(body);
  const count = reader.u16();
  reader.expect(count, 4);
  const types = Array.from({ length: count }, () => reader.u32());
  reader.end();
  return types;
}

/** The cells of a row; null is SQL's NULL. */
export function decodeDataRow(body: Uint8Array): readonly (Uint8Array | null)[] {
  const reader = new Reader(body);
  const cells = readValues(reader);
  reader.end();
  return cells;
}

/** CopyInResponse, CopyOutResponse and CopyBothResponse. Formats: 0 is text, 1 binary. */
export type CopyResponse = { readonly format: 0 | 1; readonly columnFormats: readonly number[] };

export function decodeCopyResponse(body: Uint8Array): CopyResponse {
  const reader = new Reader(body);
  const format = reader.u8();
  if (format !== 0 && format !== 1) throw new ProtocolError("PROTOCOL_VALUE", "a COPY is neither text nor binary");
  const columnFormats = readFormats(reader);
  reader.end();
  return { format, columnFormats };
}

/** FunctionCallResponse: the result, or null for SQL's NULL. */
export function decodeFunctionCallResponse(body: Uint8Array): Uint8Array | null {
  const reader = new Reader(body);
  const result = readValue(reader);
  reader.end();
  return result;
}

export function encodeRowDescription(fields: readonly FieldDescription[]): Uint8Array {
  const writer = new Writer().begin(BACKEND.rowDescription).u16(fields.length);
  for (const field of fields) {
    writer.cstring(field.name).u32(field.tableOid).i16(field.column).u32(field.typeOid);
    writer.i16(field.typeLength).i32(field.typeModifier).i16(field.format);
  }
  return writer.end().take();
}

export function encodeParameterDescription(types: readonly number[]): Uint8Array {
  const writer = new Writer().begin(BACKEND.parameterDescription).u16(types.length);
  for (const type of types) writer.u32(type);
  return writer.end().take();
}

export function encodeDataRow(cells: readonly (Uint8Array | null)[]): Uint8Array {
  const writer = new Writer().begin(BACKEND.dataRow);
  writeValues(writer, cells);
  return writer.end().take();
}

/** `direction` as the server names it: copyIn asks the client for data, copyOut will send some. */
export function encodeCopyResponse(direction: "copyIn" | "copyOut" | "copyBoth", response: CopyResponse): Uint8Array {
  const writer = new Writer().begin(BACKEND[direction]).u8(response.format);
  writeFormats(writer, response.columnFormats);
  return writer.end().take();
}

export function encodeFunctionCallResponse(result: Uint8Array | null): Uint8Array {
  const writer = new Writer().begin(BACKEND.functionCallResponse);
  writeValue(writer, result);
  return writer.end().take();
}
