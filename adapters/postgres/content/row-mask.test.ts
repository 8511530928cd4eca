/** Rows with something to hide come out masked, by the types and formats of their columns; all others as they came. */
import { describe, expect, test } from "bun:test";
import { contentMask } from "../../../test/detectors/masks.ts";
import { decodeDataRow, encodeDataRow, type FieldDescription } from "../protocol/rows.ts";
import { RowMask } from "./row-mask.ts";

const utf8 = new TextEncoder();
const decoder = new TextDecoder();
const HEADER_BYTES = 5;

const redact = contentMask({
  email: { with: "redact" },
  "card-number": { with: "redact" },
  "national-id-nl": { with: "redact" },
});
const remove = contentMask({ email: { with: "null" } });

function field(typeOid: number, format = 0): FieldDescription {
  return { name: "c", tableOid: 0, column: 0, typeOid, typeLength: -1, typeModifier: -1, format };
}

type Cell = string | Uint8Array | null;

/** The cells after the mask; "same" when the message stays. The body stands between others' bytes. */
function rowOf(
  fields: readonly FieldDescription[] | null,
  cells: readonly Cell[],
  mask = redact,
): readonly Cell[] | "same" {
  const rows = new RowMask(mask);
  rows.begin(fields);
  const body = encodeDataRow(cells.map((cell) => (typeof cell === "string" ? utf8.encode(cell) : cell))).subarray(
    HEADER_BYTES,
  );
  const around = new Uint8Array(body.length + 20).fill(0x39);
  around.set(body, 10);
  const message = rows.row(around, 10, 10 + body.length);
  if (message === null) return "same";
  expect(message[0]).toBe(0x44);
  expect(new DataView(message.buffer, message.byteOffset).getInt32(1)).toBe(message.length - 1);
  return decodeDataRow(message.subarray(HEADER_BYTES)).map((cell, index) =>
    cell === null ? null : fields?.[index]?.format === 1 ? cell : decoder.decode(cell),
  );
}

const TEXT = 25;

describe("in text", () => {
  test("what is found is masked, and the other cells stay", () => {
    const fields = [field(23), field(TEXT), field(1043), field(TEXT), field(TEXT)];
    expect(rowOf(fields, ["1", "to a@b.de", "x", null, ""])).toEqual(["1", "to ***", "x", null, ""]);
    expect(rowOf(fields, ["1", "nobody", "x", null, ""])).toBe("same");
    expect(rowOf([], [])).toBe("same");
  });

  test.each<[string, number, string, string | null]>([
    ["json", 114, '{"e":"a\\u0040b.de"}', '{"e":"***"}'],
    ["jsonb", 3802, '{"n": 4111111111111111}', '{"n": null}'],
    ["xml", 142, "<e>a@b.de</e>", "<e>***</e>"],
    ["text[]", 1009, '{a@b.de,"x,y"}', '{***,"x,y"}'],
    ["a composite", 2249, '(1,"a@b.de")', '(1,"***")'],
    ["a type of its own", 20_000, "a@b.de", "***"],
    ["jsonb[]", 3807, '{"{\\"e\\": \\"a@b.de\\"}"}', null],
    ["int8", 20, "4111111111111111", null],
    ["int4", 23, "111222333", null],
    ["numeric", 1700, "4111111111111111", null],
  ])("%s", (_, typeOid, cell, expected) => {
    expect(rowOf([field(typeOid)], [cell])).toEqual([expected]);
  });

  test("no value is left where the mask says so", () => {
    expect(rowOf([field(TEXT)], ["a@b.de"], remove)).toEqual([null]);
    expect(rowOf([field(114)], ['["a@b.de"]'], remove)).toEqual(["[null]"]);
  });

  test("types that cannot hold any are not looked at", () => {
    for (const typeOid of [16, 17, 701, 1184, 2950]) expect(rowOf([field(typeOid)], ["4111111111111111"])).toBe("same");
  });
});

describe("in binary", () => {
  const bytes = (...values: readonly (number | string)[]): Uint8Array =>
    Uint8Array.from(values.flatMap((value) => (typeof value === "number" ? value : Array.from(utf8.encode(value)))));
  const int8 = (value: bigint): Uint8Array => {
    const cell = new Uint8Array(8);
    new DataView(cell.buffer).setBigInt64(0, value);
    return cell;
  };

  test("texts are the same bytes", () => {
    expect(rowOf([field(TEXT, 1)], ["a@b.de"])).toEqual([utf8.encode("***")]);
    expect(rowOf([field(114, 1)], ['["a@b.de"]'])).toEqual([utf8.encode('["***"]')]);
  });

  test("jsonb keeps its version", () => {
    expect(rowOf([field(3802, 1)], [bytes(1, '["a@b.de"]')])).toEqual([bytes(1, '["***"]')]);
    expect(rowOf([field(3802, 1)], [bytes(1, '["a"]')])).toBe("same");
  });

  test("integers that are something are gone", () => {
    expect(rowOf([field(20, 1)], [int8(4_111_111_111_111_111n)])).toEqual([null]);
    expect(rowOf([field(20, 1)], [int8(4_111_111_111_111_112n)])).toBe("same");
    expect(rowOf([field(23, 1)], [bytes(0x06, 0xa1, 0x1e, 0x3d)])).toEqual([null]);
    expect(rowOf([field(20, 1)], [bytes(1, 2, 3)])).toEqual([null]);
  });

  test("lists of texts are masked element by element", () => {
    const head = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1];
    const list = bytes(...head, 0, 0, 0, 6, "a@b.de", 0, 0, 0, 1, "x");
    expect(rowOf([field(1009, 1)], [list])).toEqual([bytes(...head, 0, 0, 0, 3, "***", 0, 0, 0, 1, "x")]);
    const withNull = head.with(7, 1);
    expect(rowOf([field(1009, 1)], [list], remove)).toEqual([bytes(...withNull, 255, 255, 255, 255, 0, 0, 0, 1, "x")]);
    expect(rowOf([field(1009, 1)], [bytes(...head, 0, 0, 0, 1, "x")])).toBe("same");
    for (const broken of [
      list.subarray(0, 8),
      list.subarray(0, 29),
      bytes(...head, 0, 0, 1, 0, "x"),
      bytes(9, ...head.slice(1)),
    ]) {
      expect(rowOf([field(1009, 1)], [broken])).toEqual([null]);
    }
  });

  test("types of their own, and what is not known, are gone when they hold something", () => {
    expect(rowOf([field(20_000, 1)], [bytes(0, 0, 1, "a@b.de", 0)])).toEqual([null]);
    expect(rowOf([field(20_000, 1)], [bytes(0, 0, 1, "a@b", 0)])).toBe("same");
    expect(rowOf([field(1700, 1)], ["a@b.de"])).toBe("same");
    expect(rowOf(null, ["a@b.de", "x"])).toEqual([null, "x"]);
  });

  test("Bind's formats win over those of the description", () => {
    const rows = new RowMask(redact);
    const row = encodeDataRow([bytes(1, '["a@b.de"]'), utf8.encode("a@b.de")]).subarray(HEADER_BYTES);
    const masked = (formats: readonly number[]): readonly (string | undefined)[] => {
      rows.begin([field(3802), field(TEXT)], formats);
      const message = rows.row(row, 0, row.length);
      return decodeDataRow(message?.subarray(HEADER_BYTES) ?? row).map((cell) => decoder.decode(cell ?? undefined));
    };
    expect(masked([1])).toEqual(['\u0001["***"]', "***"]);
    expect(masked([1, 0])).toEqual(['\u0001["***"]', "***"]);
    expect(masked([0])).toEqual(['"***"', "***"]);
    expect(masked([])).toEqual(['"***"', "***"]);
  });
});

test("a row that is not one as described is an error", () => {
  const rows = new RowMask(redact);
  rows.begin([field(TEXT)]);
  const row = encodeDataRow([utf8.encode("abc")]).subarray(HEADER_BYTES);
  expect(rows.row(row, 0, row.length)).toBeNull();
  for (let end = 0; end < row.length; end++) expect(() => rows.row(row, 0, end)).toThrow();
  expect(() => rows.row(Uint8Array.from([...row, 0]), 0, row.length + 1)).toThrow("goes on behind");
  expect(() => rows.row(row.with(2, 0xff), 0, row.length)).toThrow("a cell of a row has");
  rows.begin([field(TEXT), field(TEXT)]);
  expect(() => rows.row(row, 0, row.length)).toThrow("a row has 1 columns where 2 were described");
});
