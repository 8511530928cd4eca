/** `weir policy check`: validates the policies alone. */
import { KEEPS } from "../../adapters/index.ts";
import { checkPolicies } from "../policy/check.ts";
import { hasErrors } from "../policy/problems.ts";
import type { Command } from "./command.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";
import { fromHere, policyProblemLines } from "./policy-problems.ts";

export const policyCheckCommand: Command = {
  words: ["policy", "check"],
  summary: "Validate the policies, as the gateway does when it loads them",
  positionals: [],
  options: POLICY_OPTIONS,
  notes: [
    "With --policies alone, names of targets are checked only against the catalog of the folder.",
    "",
    'JSON: {"ok", "problems": [{"severity", "code", "file", "line", "column", "message", "suggestion"}]}',
  ],
  run: async (args, terminal) => {
    const { folder: policies, config, targets, vocabularies } = policyPlace(args, terminal);
    const seals = config === null ? null : config.audit.seal !== null;
    const problems = await checkPolicies(policies, vocabularies, targets, KEEPS, seals);
    const isGood = !hasErrors(problems);
    if (args.isJson) {
      terminal.out(JSON.stringify({ ok: isGood, problems: problems.map((problem) => fromHere(problem, policies)) }));
    } else {
      for (const line of policyProblemLines(problems, policies)) terminal.err(line);
      if (isGood) terminal.out("ok");
    }
    return isGood ? 0 : 1;
  },
};
