/** Problems of policy files as lines whose paths lead there from this folder. */
import { join, relative } from "node:path";
import { formatProblem } from "../policy/problems.ts";
import type { Problem } from "../policy/problems.ts";

/** `policies` is the absolute path of the policy folder, which the problems' own paths start from. */
export function fromHere(problem: Problem, policies: string): Problem {
  const file = relative(process.cwd(), join(policies, problem.file));
  return { ...problem, file: file === "" ? "." : file };
}

export function policyProblemLines(problems: readonly Problem[], policies: string): string[] {
  return problems.map((problem) => formatProblem(fromHere(problem, policies)));
}
