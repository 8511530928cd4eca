/** docs/operations.md: every message it explains is one that weir says, and with that SQLSTATE. */
import { Glob } from "bun";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { refusal, REFUSAL_CODES } from "../../src/core/decision.ts";
import { sqlStateOf } from "../../adapters/postgres/refuse.ts";
import { readPage, tableRows } from "./pages.ts";

const ROOT = join(import.meta.dir, "../..");
const ROWS = tableRows(readPage("docs/operations.md"), "message");

/** All that the product says, with the parts of each sentence that are filled in as they are in its sources. */
const SOURCES = [...new Glob("{src,adapters}/**/*.ts").scanSync({ cwd: ROOT })]
  .filter((path) => !path.endsWith(".test.ts"))
  .map((path) => readFileSync(join(ROOT, path), "utf8"))
  // The formatter breaks long sentences into parts.
  .map((text) => text.replaceAll(/["`] \+\s+["`]/gu, ""))
  .join("\n");

test("the page has its tables", () => expect(ROWS.length).toBeGreaterThan(20));

for (const [message = "", state = ""] of ROWS) {
  test(message, () => {
    const parts = message.replaceAll("`", "").split("…");
    const missing = parts.filter((part) => !SOURCES.includes(part));
    expect(missing).toEqual([]);
    if (!/^[0-9A-Z]{5}$/u.test(state)) return;
    // Where PostgreSQL has a closer word: a wrong password, a limit that a statement passes.
    const known = new Set(["28P01", "54000", ...REFUSAL_CODES.map((code) => sqlStateOf(refusal(code, "")))]);
    expect(known.has(state)).toBe(true);
  });
}
