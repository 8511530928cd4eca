/** Tests that pg_regress's report is read rightly and that a difference between two runs shows. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compare, isAsExpected, otherOutputs, readReport, type RegressRun, type Verdict } from "./pg-regress.ts";

const REPORT = `(using postmaster on 127.0.0.1, port 5432)
============== dropping database "regression"         ==============
test test_setup                   ... ok          341 ms
parallel group (3 tests):  name boolean collate.icu.utf8
     boolean                      ... ok           57 ms
     name                         ... FAILED       31 ms
     collate.icu.utf8             ... failed (ignored)       31 ms
test stats                        ... FAILED (test process exited with exit code 2)      120 ms

======================
 2 of 5 tests failed.
======================
`;

const folder = mkdtempSync(join(tmpdir(), "weir-regress-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(
  name: string,
  verdicts: Readonly<Record<string, Verdict>>,
  outputs: Readonly<Record<string, string>>,
): RegressRun {
  const resultsDir = join(folder, name);
  mkdirSync(resultsDir);
  for (const [test, output] of Object.entries(outputs)) writeFileSync(join(resultsDir, `${test}.out`), output);
  return { verdicts: new Map(Object.entries(verdicts)), status: 0, resultsDir, diffs: "", durationMs: 1, report: "" };
}

test("every test of a report is read with its verdict", () => {
  expect([...readReport(REPORT)]).toEqual([
    ["test_setup", "ok"],
    ["boolean", "ok"],
    ["name", "failed"],
    ["collate.icu.utf8", "ignored"],
    ["stats", "failed"],
  ]);
  expect(readReport("psql: error: connection refused").size).toBe(0);
});

test("what differs between two runs is told with its first line", () => {
  const direct = run(
    "direct",
    { same: "ok", worse: "ok", gone: "ok", bad: "failed", varies: "ok", chance: "ok" },
    { same: "a\nb\n", worse: "a\nb\n", gone: "a", bad: "x", varies: "1", chance: "1" },
  );
  const through = run(
    "through",
    { same: "ok", worse: "failed", bad: "failed", varies: "ok", chance: "ignored" },
    { same: "a\nb\n", worse: "a\nERROR\n", bad: "y", varies: "2", chance: "2" },
  );
  expect(compare(direct, through)).toEqual([
    { test: "worse", direct: "ok", through: "failed", line: { number: 2, direct: "b", through: "ERROR" } },
    { test: "gone", direct: "ok", through: "missing", line: { number: 1, direct: "a", through: "" } },
    { test: "bad", direct: "failed", through: "failed", line: { number: 1, direct: "x", through: "y" } },
  ]);
  expect(otherOutputs(direct, through)).toEqual(["varies"]);
  expect(compare(direct, direct)).toEqual([]);
});

test("a run is as expected when all of it ran and passed", () => {
  const passed = run("passed", { one: "ok", two: "ok" }, {});
  expect(isAsExpected(passed)).toBe(true);
  // It was ended in the middle, or never began.
  expect(isAsExpected({ ...passed, status: 2 })).toBe(false);
  expect(isAsExpected({ ...passed, verdicts: new Map() })).toBe(false);
  for (const verdict of ["failed", "ignored"] as const) {
    expect(isAsExpected({ ...passed, verdicts: new Map([...passed.verdicts, ["three", verdict]]) })).toBe(false);
  }
});
