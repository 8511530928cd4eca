/** Tests that the writer writes what the reader reads, frames messages, and refuses what fits no field. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Reader } from "./reader.ts";
import { WireError } from "./wire-error.ts";
import { Writer } from "./writer.ts";

test("many messages in one buffer, each with its length", () => {
  const writer = new Writer();
  writer.begin(0x51).cstring("select 1").end();
  writer.begin(0x53).end();
  writer.beginUntyped().u32(7).end();
  expect(writer.size).toBe(5 + 9 + 5 + 8);
  expect(writer.take().toHex()).toBe("510000000d73656c65637420310053000000040000000800000007");
});

test("what was taken is not written over by what comes later", () => {
  const writer = new Writer();
  const first = writer.begin(1).u8(1).end().take();
  const second = writer.begin(2).u8(2).end().take();
  expect(first.toHex()).toBe("010000000501");
  expect(second.toHex()).toBe("020000000502");
  expect(writer.size).toBe(0);
});

test("every value that fits its field is read as it was written, whatever the buffer's first size", () => {
  const numbers = fc.record({
    u8: fc.nat(0xff),
    u16: fc.nat(0xffff),
    i16: fc.integer({ min: -0x8000, max: 0x7fff }),
    u32: fc.nat(0xffffffff),
    i32: fc.integer(),
  });
  fc.assert(
    fc.property(fc.nat(40), numbers, fc.uint8Array(), fc.string({ unit: "binary" }), (capacity, n, bytes, chars) => {
      const text = chars.replaceAll("\0", "").toWellFormed();
      const writer = new Writer(capacity).begin(0x41).u8(n.u8).u16(n.u16).i16(n.i16).u32(n.u32).i32(n.i32);
      const reader = new Reader(writer.u32(bytes.length).raw(bytes).cstring(text).end().take());
      expect(reader.u8()).toBe(0x41);
      expect(reader.i32()).toBe(reader.remaining + 4);
      expect([reader.u8(), reader.u16(), reader.i16(), reader.u32(), reader.i32()]).toEqual(Object.values(n));
      expect(reader.bytes(reader.u32())).toEqual(bytes);
      expect(reader.text()).toBe(text);
      reader.end();
    }),
  );
});

describe("what fits no field is refused, never bent", () => {
  const cases: Readonly<Record<string, (writer: Writer) => unknown>> = {
    "u8 256": (writer) => writer.u8(256),
    "u8 -1": (writer) => writer.u8(-1),
    "u16 65536": (writer) => writer.u16(0x10000),
    "i16 32768": (writer) => writer.i16(0x8000),
    "u32 2^32": (writer) => writer.u32(2 ** 32),
    "i32 2^31": (writer) => writer.i32(2 ** 31),
    fraction: (writer) => writer.i32(1.5),
    "not a number": (writer) => writer.u32(Number.NaN),
    "NUL in a text": (writer) => writer.cstring("a\0b"),
    "NUL in bytes": (writer) => writer.cstring(new Uint8Array([97, 0])),
    "half a surrogate pair": (writer) => writer.cstring("\uD800"),
  };
  for (const [name, write] of Object.entries(cases)) {
    test(name, () => expect(codeOf(() => write(new Writer()))).toBe("WIRE_RANGE"));
  }
});

test("messages begin and end in turn", () => {
  expect(codeOf(() => new Writer().end())).toBe("WIRE_FRAMING");
  expect(codeOf(() => new Writer().begin(1).begin(2))).toBe("WIRE_FRAMING");
  expect(codeOf(() => new Writer().begin(1).beginUntyped())).toBe("WIRE_FRAMING");
  expect(codeOf(() => new Writer().begin(1).take())).toBe("WIRE_FRAMING");
});

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
  return "none";
}
