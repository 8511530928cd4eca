/** Tests how dotted names are joined for policy, and split as the server splits those inside texts. */
import { expect, test } from "bun:test";
import { joinIdentifier, splitIdentifier } from "./identifier.ts";

const LONGEST = "a".repeat(63);
const LONGEST_IN_TWO_BYTES = `${"é".repeat(31)}a`;

test.each<[string, readonly string[] | null]>([
  ["orders", ["orders"]],
  ["App.Orders", ["app", "orders"]],
  [`app."Orders"`, ["app", "Orders"]],
  [`"a.b"."c""d"`, ["a.b", `c"d`]],
  [" \t\n app \r . \f orders ", ["app", "orders"]],
  ["a.b.c.d", ["a", "b", "c", "d"]],
  ["a\x7fb", ["a\x7fb"]],
  [LONGEST, [LONGEST]],
  [`"${LONGEST_IN_TWO_BYTES}"`, [LONGEST_IN_TWO_BYTES]],
  // The server cuts longer names, and not all of them at the same byte.
  [`${LONGEST}a`, null],
  [`"${LONGEST_IN_TWO_BYTES}a"`, null],
  // Its locale decides whether it folds these.
  ["örders", null],
  ["orderÖ", null],
  [`"Örders"`, ["Örders"]],
  ["", null],
  [" ", null],
  [`""`, null],
  ["a.", null],
  [".a", null],
  ["a..b", null],
  ["a b", null],
  [`a"b"`, null],
  [`"a"b`, null],
  [`"a`, null],
  [`"a""`, null],
])("%p is split into %p", (text, parts) => {
  expect(splitIdentifier(text)).toEqual(parts === null ? null : [...parts]);
});

test("two names never become one", () => {
  expect(joinIdentifier("a", "b")).toBe("a.b");
  expect(joinIdentifier("a.b")).toBe(`"a.b"`);
  expect(joinIdentifier(`a"b`, "c")).toBe(`"a""b".c`);
});
