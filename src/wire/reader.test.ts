/** Tests that the reader reads what is there, in order, and never what is not. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeUtf8, Reader } from "./reader.ts";
import { WireError } from "./wire-error.ts";

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
  return "none";
}

test("numbers are big-endian, signed where they say so", () => {
  const bytes = Uint8Array.fromHex("ff fffe fffe fffffffd fffffffd 7fffffff".replaceAll(" ", ""));
  const reader = new Reader(bytes);
  expect(reader.u8()).toBe(255);
  expect(reader.u16()).toBe(0xfffe);
  expect(reader.i16()).toBe(-2);
  expect(reader.u32()).toBe(0xfffffffd);
  expect(reader.i32()).toBe(-3);
  expect(reader.i32()).toBe(0x7fffffff);
  expect(reader.remaining).toBe(0);
  reader.end();
});

test("what is handed out are views, not copies", () => {
  const bytes = new Uint8Array([1, 2, 97, 0, 3]);
  const reader = new Reader(bytes);
  const two = reader.bytes(2);
  const name = reader.cstring();
  const rest = reader.rest();
  bytes.set([9, 9, 98, 0, 9]);
  expect([...two, ...name, ...rest]).toEqual([9, 9, 98, 9]);
  expect(reader.rest()).toHaveLength(0);
});

test("a view into the middle of a buffer ends where it ends", () => {
  const reader = new Reader(new Uint8Array([1, 2, 3, 0, 5]).subarray(1, 3));
  expect(codeOf(() => reader.cstring())).toBe("WIRE_NO_TERMINATOR");
  expect(codeOf(() => reader.u32())).toBe("WIRE_SHORT");
  expect(reader.u16()).toBe(0x0203);
});

test("what lies between two places is read as if there were nothing else", () => {
  const bytes = new Uint8Array([97, 0, 98, 0, 99, 0]);
  const reader = new Reader(bytes, 2, 3);
  expect(reader.shortAscii()).toBeNull();
  expect(codeOf(() => reader.cstring())).toBe("WIRE_NO_TERMINATOR");
  expect(codeOf(() => reader.u16())).toBe("WIRE_SHORT");
  expect([reader.position, reader.remaining, ...reader.rest()]).toEqual([0, 1, 98]);
  reader.end();
  expect(new Reader(bytes, 2, 4).text()).toBe("b");
  for (const [start, end] of [
    [-1, 2],
    [3, 2],
    [0, 7],
    [Number.NaN, 2],
  ]) {
    expect(() => new Reader(bytes, start, end)).toThrow(RangeError);
  }
});

test("a short text of plain ASCII is read whole, any other is left to be read otherwise", () => {
  for (const text of ["", "a", "sixteen letters!"]) {
    const reader = new Reader(encode(`${text}\0rest`));
    expect(reader.shortAscii()).toBe(text);
    expect(reader.remaining).toBe(4);
  }
  for (const text of ["seventeen letters", "é\0", "not terminated"]) {
    const reader = new Reader(encode(text));
    expect(reader.shortAscii()).toBeNull();
    expect(reader.position).toBe(0);
  }
});

describe("each method refuses what is not there and stays where it was", () => {
  const cases: Readonly<Record<string, (reader: Reader) => unknown>> = {
    WIRE_SHORT: (reader) => reader.i32(),
    "WIRE_SHORT (bytes)": (reader) => reader.bytes(4),
    "WIRE_SHORT (negative)": (reader) => reader.bytes(-1),
    "WIRE_SHORT (nothing)": (reader) => reader.bytes(Number.NaN),
    "WIRE_SHORT (promised)": (reader) => reader.expect(0xffffffff, 1),
    "WIRE_SHORT (promised, two each)": (reader) => reader.expect(2, 2),
    "WIRE_NO_TERMINATOR (too long)": (reader) => reader.cstring(1),
    WIRE_TRAILING: (reader) => reader.end(),
  };
  for (const [name, read] of Object.entries(cases)) {
    test(name, () => {
      const reader = new Reader(new Uint8Array([97, 98, 0]));
      expect(codeOf(() => read(reader))).toBe(name.split(" ")[0] ?? "");
      expect(reader.position).toBe(0);
      expect(reader.text(2)).toBe("ab");
      reader.end();
    });
  }
});

describe("texts are UTF-8, and equal texts are equal bytes", () => {
  test("a byte order mark is part of the text", () => {
    expect(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 97]))).toBe("\uFEFFa");
  });

  test("overlong forms, surrogates and stray bytes are refused", () => {
    for (const hex of ["c080", "c1bf", "eda080", "f4908080", "80", "c3", "fe"]) {
      expect(`${hex} ${codeOf(() => decodeUtf8(Uint8Array.fromHex(hex)))}`).toBe(`${hex} WIRE_NOT_UTF8`);
    }
  });

  test("whatever decodes encodes to the same bytes", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string({ unit: "binary" }).map(encode)), (bytes) => {
        let text: string;
        try {
          text = decodeUtf8(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
          return;
        }
        expect(encode(text)).toEqual(bytes);
      }),
    );
  });
});

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
