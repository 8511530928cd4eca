/** `weir policy test`: runs the tests of the policies, and prints which rule decided each case. */
import { ADAPTERS, KEEPS } from "../../adapters/index.ts";
import { RuleIndex } from "../policy/engine/index.ts";
import { loadPolicies } from "../policy/load.ts";
import { hasErrors } from "../policy/problems.ts";
import type { Problem } from "../policy/problems.ts";
import { reasonOf } from "../policy/tests/test-expectation.ts";
import { runTests } from "../policy/tests/test-run.ts";
import type { CaseResult, TestReport } from "../policy/tests/test-run.ts";
import { printable } from "./audit-lines.ts";
import type { Command, Terminal } from "./command.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";
import { fromHere, policyProblemLines } from "./policy-problems.ts";

export const policyTestCommand: Command = {
  words: ["policy", "test"],
  summary: "Run the policies' tests; says which rule decided each case, and which rules no case decides",
  positionals: [],
  options: [...POLICY_OPTIONS, { name: "quiet", description: "only what failed, and the sum" }],
  notes: [
    "Tests lie in tests/ of the policy folder. SQL is read with the catalog (weir policy catalog pull), without a server.",
    "Ends with 1 when a case fails, or when the policies have errors. Rules that no case decides are warnings.",
    "",
    'JSON: {"ok", "cases": [{"file", "line", "column", "title", "ok", "decision", "rules", "failures"}], "untested": [ID],',
    '"problems"}, where problems are those of weir policy check',
  ],
  run: async (args, terminal) => {
    const { folder, targets, vocabularies } = policyPlace(args, terminal);
    const set = await loadPolicies(folder, vocabularies, targets, KEEPS);
    if (hasErrors(set.problems)) {
      if (args.isJson) terminal.out(json(false, null, set.problems, folder));
      else for (const line of policyProblemLines(set.problems, folder)) terminal.err(line);
      return 1;
    }
    const index = new RuleIndex(set.rules, vocabularies, set.author.patterns);
    const tools = new Map(ADAPTERS.map((adapter) => [adapter.name, adapter.policy]));
    const report = await runTests(set, index, tools, { now: Date.now() });
    const isGood = report.errors.length === 0;
    if (args.isJson) terminal.out(json(isGood, report, [...report.errors, ...report.warnings], folder));
    else print(report, folder, args.flag("quiet"), terminal);
    return isGood ? 0 : 1;
  },
};

function print(report: TestReport, folder: string, isQuiet: boolean, terminal: Terminal): void {
  const { results, errors, warnings, untested } = report;
  for (const result of results) {
    if (isQuiet && result.failures.length === 0) continue;
    for (const line of caseLines(result, folder)) terminal.out(printable(line));
  }
  for (const line of policyProblemLines(cutOff(report), folder)) terminal.err(printable(line));
  for (const line of policyProblemLines(warnings, folder)) terminal.err(printable(line));
  const cases = `${results.length} ${results.length === 1 ? "case" : "cases"}`;
  const failed = errors.length === 0 ? "all as expected" : `${errors.length} failed`;
  const none = untested.length === 1 ? "1 rule decides none" : `${untested.length} rules decide none`;
  const rules = untested.length === 0 ? "every rule decides one" : none;
  terminal.out(`${cases}, ${failed}; ${rules}`);
}

/** What failed beyond single cases. */
function cutOff({ results, errors }: TestReport): readonly Problem[] {
  return errors.slice(results.filter(({ failures }) => failures.length > 0).length);
}

function caseLines({ case: each, decided, failures, steps }: CaseResult, folder: string): readonly string[] {
  const { file } = fromHere({ ...PLACE, file: each.file }, folder);
  const place = `${file}:${each.line}:${each.column}`;
  if (decided === null) return [`${place} FAILED ${each.title}`, ...failures.map((failure) => `  ${failure}`)];
  const by = decided.rules.length === 0 ? "" : ` by ${decided.rules.join(", ")}`;
  const observed = decided.observed.length === 0 ? "" : `, observed ${decided.observed.join(", ")}`;
  const opening = steps.length === 1 && steps[0]?.text === "opening the session" ? " when the session opens" : "";
  // What no rule decides is worth its reason.
  const why = failures.length === 0 && decided.rules.length > 0 ? "" : reasonOf(decided);
  const verdict = `${decided.kind}${by}${observed}${opening}${why === "" ? "" : `: ${why}`}`;
  const line = `${place} ${failures.length === 0 ? "ok" : "FAILED"} ${each.title}: ${verdict}`;
  return [line, ...failures.map((failure) => `  ${failure}`)];
}

const PLACE: Problem = {
  severity: "error",
  file: ".",
  line: null,
  column: null,
  code: "TEST_FAILED",
  message: "",
  suggestion: "",
};

function json(isGood: boolean, report: TestReport | null, problems: readonly Problem[], folder: string): string {
  return JSON.stringify({
    ok: isGood,
    cases: (report?.results ?? []).map(({ case: each, decided, failures }) => ({
      file: fromHere({ ...PLACE, file: each.file }, folder).file,
      line: each.line,
      column: each.column,
      title: each.title,
      ok: failures.length === 0,
      decision: decided?.kind ?? null,
      rules: decided?.rules ?? [],
      failures,
    })),
    untested: (report?.untested ?? []).map(({ id }) => id),
    problems: problems.map((problem) => fromHere(problem, folder)),
  });
}
