/** The checks of a whole set together. */
import { expect, test } from "bun:test";
import { guard, loadYard, permit, warningsOf } from "../../../test/policy-yard.ts";

test("PROGRAM_WITHOUT_ARGV", async () => {
  expect(
    await warningsOf({ permits: [permit({ yard: { programs: ["cat", "ls"] } })] }, "PROGRAM_WITHOUT_ARGV"),
  ).toEqual(["p permits cat, ls whatever the argv. List the commands under argv"]);
  const both = { yard: { programs: ["cat"], argv: [["cat", "x"]] } };
  expect(await warningsOf({ permits: [permit(both)] }, "PROGRAM_WITHOUT_ARGV")).toEqual([]);
  expect(await warningsOf({ guards: [guard({ yard: { programs: ["cat"] } })] }, "PROGRAM_WITHOUT_ARGV")).toEqual([]);
});

test("a warning is at its rule", async () => {
  const { problems } = await loadYard({ permits: [permit({ yard: { programs: ["cat"] } })] });
  expect(problems.map(({ file, line, column, severity }) => ({ file, line, column, severity }))).toEqual([
    { file: "permits/a.yaml", line: 1, column: expect.any(Number), severity: "warning" },
  ]);
});
