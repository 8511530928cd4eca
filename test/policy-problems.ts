/** What the real check says of a policy set, for tests. */
import { checkPolicies } from "../src/policy/check.ts";
import { formatProblem } from "../src/policy/problems.ts";
import { OTHER, TARGETS, TINY, withFolder } from "./policy-sets.ts";
import type { Files } from "./policy-sets.ts";

/** The lines that `weir policy check` would print for these files; `prepare` may add to the folder what is no plain file. */
export function problemsOf(files: Files, prepare: (dir: string) => void = () => {}): Promise<readonly string[]> {
  return withFolder(files, async (dir) => {
    prepare(dir);
    return (await checkPolicies(dir, [TINY, OTHER], TARGETS)).map(formatProblem);
  });
}
