/** Problems of policy files as lines whose paths lead there: from this folder, or from the root where that is shorter. */
import { join, relative } from "node:path";
import { formatProblem } from "../policy/problems.ts";
import type { Problem } from "../policy/problems.ts";

/** `policies` is the absolute path of the policy folder, which the problems' own paths start from. */
export function fromHere(problem: Problem, policies: string): Problem {
  const path = join(policies, problem.file);
  const file = relative(process.cwd(), path) || ".";
  return { ...problem, file: file.length < path.length ? file : path };
}

export function policyProblemLines(problems: readonly Problem[], policies: string): string[] {
  return problems.map((problem) => formatProblem(fromHere(problem, policies)));
}
