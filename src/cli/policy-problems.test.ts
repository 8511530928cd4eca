/** Where the lines about policy files say that a file is. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { fromHere } from "./policy-problems.ts";

const problem = {
  file: "permits/a.yaml",
  line: 1,
  column: 2,
  severity: "error",
  code: "BAD_VALUE",
  message: "no",
  suggestion: "",
} as const;
const from = (policies: string, file: string = problem.file): string => fromHere({ ...problem, file }, policies).file;

test("a path starts from this folder, or from the root where that is shorter", () => {
  expect(from(join(process.cwd(), "policies"))).toBe("policies/permits/a.yaml");
  expect(from("/p")).toBe("/p/permits/a.yaml");
  expect(from(process.cwd(), "")).toBe(".");
});
