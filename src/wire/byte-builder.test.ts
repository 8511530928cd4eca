/** Bytes come out as they were put in, however many. */
import { expect, test } from "bun:test";
import { ByteBuilder } from "./byte-builder.ts";

test("pieces of all lengths are put together, and what was taken stays as it is", () => {
  const source = Uint8Array.from({ length: 5000 }, (_, index) => index % 251);
  const out = new ByteBuilder();
  const expected: number[] = [];
  for (let length = 0; length < 200; length++) {
    out.copy(source, length, 2 * length);
    out.add(length);
    out.text("~");
    expected.push(...source.subarray(length, 2 * length), length, 0x7e);
  }
  out.copy(source, 0, 5000);
  expected.push(...source);
  expect(out.length).toBe(expected.length);
  const taken = out.take();
  expect([...taken]).toEqual(expected);
  out.text("x");
  expect([...taken]).toEqual(expected);
  expect([...out.take()]).toEqual([0x78]);
  expect(out.length).toBe(0);
});

test("what is cleared is gone", () => {
  const out = new ByteBuilder();
  out.text("abc");
  out.clear();
  out.text("d");
  expect([...out.take()]).toEqual([0x64]);
});
