/** How many names all lists of a set may hold together. */
import { expect, test } from "bun:test";
import { NO_VOCABULARY } from "./author-vocabulary.ts";
import { Words } from "./words.ts";

test("all lists together hold two million names and no more", () => {
  const approvalTimes = { count: 1, withinMs: 1, validForMs: 1, uses: 1 };
  const settings = { name: "x", timeZone: "UTC", approvalTimes };
  const words = new Words([], null, NO_VOCABULARY, { targets: new Map() }, settings, null);
  expect([words.mayHold(1_999_999), words.mayHold(1), words.mayHold(0), words.mayHold(1)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
