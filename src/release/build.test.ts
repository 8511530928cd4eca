/** What the build refuses: a binary that would lack its database library or one of its Workers. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { embedLibrary } from "./libsql.ts";
import { describeVersion, weirVersion } from "./version.ts";
import { workersOf } from "./workers.ts";

const LIBSQL = join(import.meta.dir, "../../node_modules/libsql/index.js");

describe("libSQL's library", () => {
  test("is required by a literal name in the installed version", () => {
    const text = embedLibrary(readFileSync(LIBSQL, "utf8"), "@libsql/some-platform/index.node");
    expect(text).toContain('require("@libsql/some-platform/index.node")');
    expect(text).not.toContain("@libsql/${target}");
    expect(() => new Bun.Transpiler({ loader: "js" }).transformSync(text)).not.toThrow();
  });

  test("fails the build when a new version loads it in another way", () => {
    expect(() => embedLibrary("module.exports = load(target);", "x")).toThrow("adapt src/release/libsql.ts");
  });
});

describe("Workers", () => {
  test("are found by the form that works in a binary", () => {
    const text = 'a = new Worker(new URL("./writer-worker.ts", import.meta.url), { name: "w" });';
    expect(workersOf("src/audit/writer.ts", text)).toEqual(["src/audit/writer-worker.ts"]);
    expect(workersOf("src/audit/writer.ts", text.replaceAll("(", "(\n "))).toEqual(["src/audit/writer-worker.ts"]);
  });

  test("fail the build in any other form", () => {
    for (const form of ['new Worker("./a.ts")', "new Worker(path)", 'new Worker(new URL("./a.ts", base))']) {
      expect(() => workersOf("src/audit/writer.ts", form)).toThrow("in a form that a binary cannot follow");
    }
  });
});

test("the sources say that they are no binary, and which version", () => {
  const version = weirVersion();
  expect(version).toMatchObject({ from: "sources", commit: null, bun: Bun.version });
  expect(describeVersion(version)).toStartWith(`weir ${version.version} (from sources, Bun `);
});
