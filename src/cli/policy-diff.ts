/** `weir policy diff`: what a change of policy lets through, keeps out, masks or limits otherwise. */
import { VOCABULARIES } from "../../adapters/index.ts";
import type { RuleId } from "../core/decision.ts";
import { shortList } from "../policy/compare/access-words.ts";
import { addedGuardsAlone, compareSets, groupNames } from "../policy/compare/diff.ts";
import type { Comparison } from "../policy/compare/diff.ts";
import { reportDifferences } from "../policy/compare/diff-report.ts";
import type { ReportedCase, ReportedChange } from "../policy/compare/diff-report.ts";
import { printable } from "./audit-lines.ts";
import { UsageError } from "./command.ts";
import type { Arguments, Command } from "./command.ts";
import { changeHead, ruleView } from "./policy-changes.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";
import { loadSides } from "./policy-sides.ts";
import type { LoadedSide } from "./policy-sides.ts";
import { possibleAccesses } from "./possible-accesses.ts";

const SUBJECTS_MAX = 4;
const TARGETS_MAX = 6;
const CASES_MAX = 12;
const COLUMNS_MAX = 8;

export const policyDiffCommand: Command = {
  words: ["policy", "diff"],
  summary: "Show what a change of policy decides differently",
  positionals: [
    {
      name: "OLD..NEW",
      kind: "required",
      description: "git commits or policy folders; nothing on a side: the files as they are",
    },
  ],
  options: [
    { name: "fail-on", value: "widens", description: "end with 1 when anything widens, or may" },
    ...POLICY_OPTIONS,
  ],
  notes: [
    "Compares the decisions of both sets, not their texts: for every target of the catalogs, everything that can be done there,",
    "and every kind of subject, time, condition and grant that any rule tells apart. What could not be compared is said to be",
    "UNKNOWN, and counts as widening. A change that only adds guards without except is narrow-only by its syntax.",
    "Commits are read from git's object store; neither the working tree nor hooks are touched.",
    "",
    "  weir policy diff main.. --fail-on widens",
    "",
    'JSON: {"widens", "narrowOnly": [rule] or null, "changes": [{"kind": "access|approval|mask|limit|session|record|alert", "widens",',
    '  "rules": [{"id", "state": "new|removed|changed|unchanged", "file", "line"}], "was", "is",',
    '  "cases": [{"subjects", "targets", "what", "when"}]}], "unknown": [text], "cases": number}',
  ],
  run: async (args, terminal) => {
    const isStrict = failsOnWidens(args);
    const { folder, targets } = policyPlace(args, terminal);
    const [was, is] = await loadSides(args.required("OLD..NEW"), folder, targets);
    const comparison: Comparison = {
      was,
      is,
      vocabularies: VOCABULARIES,
      accessesOf: possibleAccesses,
      now: Date.now(),
    };
    const narrowOnly = addedGuardsAlone(comparison);
    if (narrowOnly !== null && !args.isJson) for (const line of narrowLines(narrowOnly)) terminal.out(line);
    const found = compareSets(comparison);
    const { untried, cases } = found;
    const adapters = new Map([...was.targets, ...is.targets].map(({ name, adapter }) => [name, adapter]));
    const vocabularyOf = (target: string) => VOCABULARIES.find(({ name }) => name === adapters.get(target));
    const changes = reportDifferences(found, vocabularyOf, groupNames([was.set, is.set]));
    const widens = narrowOnly === null && (untried.length > 0 || changes.some((change) => change.widens));
    if (args.isJson) {
      const view = changes.map((change) => ({ ...change, rules: change.rules.map((id) => ruleView(id, was, is)) }));
      terminal.out(JSON.stringify({ widens, narrowOnly, changes: view, unknown: untried, cases }));
    } else {
      for (const change of changes) for (const line of changeLines(change, was, is)) terminal.out(printable(line));
      for (const text of untried) terminal.out(printable(`UNKNOWN  ${text}`));
      terminal.out(summaryLine(changes, untried, cases));
    }
    return isStrict && widens ? 1 : 0;
  },
};

function failsOnWidens(args: Arguments): boolean {
  const text = args.text("fail-on");
  if (text !== undefined && text !== "widens") throw new UsageError(`--fail-on knows only widens, not ${text}`);
  return text !== undefined;
}

function narrowLines(added: readonly RuleId[]): readonly string[] {
  if (added.length === 0) return ["No rule means anything else."];
  return [
    `Narrow-only: nothing but ${added.length === 1 ? "a guard" : "guards"} without except was added (${added.join(", ")}).`,
  ];
}

function changeLines(change: ReportedChange, was: LoadedSide, is: LoadedSide): readonly string[] {
  const { cases } = change;
  const more = cases.length > CASES_MAX ? [`  and ${cases.length - CASES_MAX} more; --json has all`] : [];
  return [changeHead(change, was, is), ...cases.slice(0, CASES_MAX).map(caseLine), ...more];
}

function caseLine({ subjects, targets, what, when }: ReportedCase): string {
  const who = shortList(subjects, SUBJECTS_MAX);
  const where = shortList(targets, TARGETS_MAX);
  const on = where === "" ? "" : ` on ${where}`;
  const done = what.length === 0 ? "" : `: ${shortList(what, COLUMNS_MAX, "; ")}`;
  return `  ${who}${on}${done}${when === "" ? "" : `, ${when}`}`;
}

function summaryLine(changes: readonly ReportedChange[], untried: readonly string[], cases: number): string {
  const widening = changes.filter(({ widens }) => widens).length;
  const parts = [
    ...(widening > 0 ? [`${widening} ${widening === 1 ? "change widens" : "changes widen"}`] : []),
    ...(changes.length > widening
      ? [`${changes.length - widening} ${changes.length - widening === 1 ? "narrows" : "narrow"}`]
      : []),
    ...(untried.length > 0 ? [`${untried.length} unknown, which may widen`] : []),
  ];
  const compared = cases === 1 ? "1 case was compared" : `${cases} cases were compared`;
  return `${parts.length === 0 ? "Nothing is decided differently" : parts.join(", ")}; ${compared}.`;
}
