/** Format codes and values as Bind, FunctionCall, DataRow and the COPY responses lay them out. */
import type { Reader } from "../../../src/wire/reader.ts";
import type { Writer } from "../../../src/wire/writer.ts";

/** A count and that many format codes. Counts are unsigned, as the server reads them: a Bind has up to 65,535 parameters. */
export function readFormats(reader: Reader): number[] {
  const count = reader.u16();
  reader.expect(count, 2);
  return Array.from({ length: count }, () => reader.i16());
}

export function writeFormats(writer: Writer, formats: readonly number[]): void {
  writer.u16(formats.length);
  for (const format of formats) writer.i16(format);
}

/** A count and that many values. */
export function readValues(reader: Reader): (Uint8Array | null)[] {
  const count = reader.u16();
  reader.expect(count, 4);
  return Array.from({ length: count }, () => readValue(reader));
}

export function writeValues(writer: Writer, values: readonly (Uint8Array | null)[]): void {
  writer.u16(values.length);
  for (const value of values) writeValue(writer, value);
}

/** A length and that many bytes; a length of -1 is SQL's NULL, any other negative one an error. */
export function readValue(reader: Reader): Uint8Array | null {
  const length = reader.i32();
  return length === -1 ? null : reader.bytes(length);
}

export function writeValue(writer: Writer, value: Uint8Array | null): void {
  if (value === null) writer.i32(-1);
  else writer.i32(value.length).raw(value);
}
