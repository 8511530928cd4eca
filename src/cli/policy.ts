/** `weir policy check`: validates the policies alone. */
import { resolve } from "node:path";
import { ADAPTERS } from "../../adapters/index.ts";
import { checkPolicies } from "../policy/check.ts";
import { hasErrors } from "../policy/problems.ts";
import { CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { fromHere, policyProblemLines } from "./policy-problems.ts";

export const policyCheckCommand: Command = {
  words: ["policy", "check"],
  summary: "Validate the policies, as the gateway does when it loads them",
  positionals: [],
  options: [
    CONFIG_OPTION,
    {
      name: "policies",
      value: "DIR",
      description: "the policy folder; without a configuration beside it, names of targets are not checked",
    },
  ],
  notes: ['JSON: {"ok", "problems": [{"severity", "code", "file", "line", "column", "message", "suggestion"}]}'],
  run: async (args, terminal) => {
    const folder = args.text("policies");
    const isAlone = folder !== undefined && args.text("config") === undefined;
    const config = isAlone ? null : requireConfiguration(args, terminal);
    const policies = folder === undefined ? (config?.policies ?? "policies") : resolve(folder);
    const vocabularies = ADAPTERS.flatMap((adapter) => adapter.vocabularies);
    const problems = await checkPolicies(policies, vocabularies, config?.targets ?? null);
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
