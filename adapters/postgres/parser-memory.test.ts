/** A parser's memory: small to begin with, because the collector counts it as in use, and as large as it needs to be. */
import { expect, test } from "bun:test";
import { GRAMMAR_MAJORS, makeParserInstance, type ParserInstance } from "./parser-instance.ts";
import { withInitialPages } from "./parser-memory.ts";

const PAGE_BYTES = 65_536;
/** A module with nothing but a memory of 2 to 16 pages, exported as `m`; the 2 is written in two bytes. */
const MODULE = Uint8Array.fromHex("0061736d01000000" + "05050101820010" + "070501016d0200");
/** Kept, so that no collection takes one away while the next is measured. */
const parsers: ParserInstance[] = [];

function memoryOf(module: Uint8Array): WebAssembly.Memory {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module));
  const memory = exports["m"];
  if (!(memory instanceof WebAssembly.Memory)) throw new Error("it exports no memory");
  return memory;
}

test("a module's memory begins with as many pages as it is given, and grows to as many as before", () => {
  const before = MODULE.slice();
  for (const pages of [0, 1, 2, 16]) {
    const memory = memoryOf(withInitialPages(MODULE, pages));
    expect(memory.buffer.byteLength).toBe(pages * PAGE_BYTES);
    memory.grow(16 - pages);
    expect(() => memory.grow(1)).toThrow();
  }
  expect(MODULE).toEqual(before);
});

test.each([
  ["a module without a memory", MODULE.slice(0, 8), "no memory of its own"],
  ["a module with two", Uint8Array.from([...MODULE.slice(0, 8), 5, 5, 2, 0, 1, 0, 1]), "no memory of its own"],
  ["a module that is cut off", MODULE.slice(0, 12), "in the middle of a number"],
  ["a number without end", Uint8Array.from([...MODULE.slice(0, 9), ...Array<number>(6).fill(0x80)]), "too long"],
])("%s is refused", (_, module, message) => {
  expect(() => withInitialPages(module, 1)).toThrow(message);
});

test("a number of pages that does not fit is refused", () => {
  expect(() => withInitialPages(MODULE, 2 ** 14)).toThrow("no room");
});

test.each([...GRAMMAR_MAJORS])(
  "the parser of %d begins with less than 40 MiB and grows with what it reads",
  async (major) => {
    Bun.gc(true);
    const before = process.memoryUsage().arrayBuffers;
    const parser = await makeParserInstance(major);
    parsers.push(parser);
    const begun = process.memoryUsage().arrayBuffers - before;
    expect(begun).toBeGreaterThan(1024 * 1024);
    expect(begun).toBeLessThan(40 * 1024 * 1024);
    const columns = 128 * 1024;
    const answer = parser.parse(`SELECT ${"1,".repeat(columns - 1)}1`);
    if (answer.kind !== "tree") throw new Error(answer.message);
    const targets = answer.json.split('"ResTarget"').length - 1;
    expect(targets).toBe(columns);
    expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(begun);
    // The memory it has grown by is no other: what it reads next is whole too.
    expect(parser.parse("SELECT 1")).toMatchObject({ kind: "tree" });
  },
);
