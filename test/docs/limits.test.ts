/** docs/limits.md: every number on it is the one in force. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TARGET_SCHEMAS } from "../../adapters/index.ts";
import { parseConfig } from "../../src/config/load.ts";
import { readPage, tableRows } from "./pages.ts";

const ROOT = join(import.meta.dir, "../..");
const ROWS = tableRows(readPage("docs/limits.md"), "what");

const SCALES: Readonly<Record<string, number>> = { "": 1, bytes: 1, ms: 1, s: 1000, KiB: 1024, MiB: 1024 ** 2 };

/** `10 s` in ms, `256 KiB` in bytes, `2000` as it is. */
function numberOf(text: string): number {
  const [digits = "", unit = ""] = text.split(" ");
  const scale = SCALES[unit];
  if (scale === undefined) throw new Error(`no unit: ${text}`);
  return Number(digits) * scale;
}

/** What weir.yaml means when it says nothing of limits. */
function configured(key: string): unknown {
  const text = "name: a\nlisten: { postgres: {} }\ntargets: {}\n";
  const { config } = parseConfig(text, "weir.yaml", { adapters: TARGET_SCHEMAS, env: {} });
  const limits = new Map<string, unknown>(Object.entries(config?.limits ?? {}));
  return limits.get(key) ?? limits.get(`${key}Ms`);
}

/** `const NAME = 8 * 1024;` or `name: 20,` in a file; numbers and products only. */
function fixed(file: string, name: string): number {
  const text = readFileSync(join(ROOT, file), "utf8");
  const written = [...text.matchAll(new RegExp(`\\b${name}(?: =|:) (0x[0-9a-f]+|[0-9_]+(?: \\* [0-9_]+)*)[;,]`, "gu"))];
  if (written.length !== 1) throw new Error(`${file} has ${written.length} numbers called ${name}`);
  const factors = (written[0]?.[1] ?? "").split(" * ");
  return factors.map((factor) => Number(factor.replaceAll("_", ""))).reduce((product, factor) => product * factor, 1);
}

test("the page has its tables", () => expect(ROWS.length).toBeGreaterThan(40));

for (const [what = "", number = "", place = ""] of ROWS) {
  test(what, () => {
    const [first = "", second] = [...place.matchAll(/`([^`]+)`/gu)].map((match) => match[1] ?? "");
    const inForce = second === undefined ? configured(first.replace("limits.", "")) : fixed(first, second);
    expect(inForce).toBe(numberOf(number));
  });
}
