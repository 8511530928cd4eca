/** `weir policy who-can`: who may do something where, by which rules, and on which terms. */
import { VOCABULARIES } from "../../adapters/index.ts";
import { ACCESS_CLASSES, UNKNOWN } from "../core/operation.ts";
import type { Access } from "../core/operation.ts";
import type { CatalogTarget } from "../core/policy-tools.ts";
import type { Target } from "../core/target.ts";
import { hintFor } from "../config/suggest.ts";
import { shortList } from "../policy/compare/access-words.ts";
import { isAsked, readAction, supposedAccess } from "../policy/explain/asked-action.ts";
import type { AskedAction } from "../policy/explain/asked-action.ts";
import { groupNames } from "../policy/compare/diff.ts";
import type { PossibleAccesses } from "../policy/compare/diff.ts";
import type { ReportedCase, ReportedChange } from "../policy/compare/diff-report.ts";
import { obligationsOf } from "../policy/engine/merge.ts";
import { obligationsWords, requirementWords } from "../policy/engine/obligation-words.ts";
import type { GroupNames } from "../policy/engine/obligation-words.ts";
import type { Rule } from "../policy/engine/rule.ts";
import { matcherWords } from "../policy/compare/subject-words.ts";
import { whoCan } from "../policy/explain/who-can.ts";
import type { Answer, StandingGuard } from "../policy/explain/who-can.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Command } from "./command.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";
import { loadSide } from "./policy-sides.ts";
import { possibleAccesses } from "./possible-accesses.ts";

const LIST_MAX = 8;

export const policyWhoCanCommand: Command = {
  words: ["policy", "who-can"],
  summary: "Say who may do something, by which rules and on which terms",
  positionals: [
    { name: "ACTION", kind: "required", description: "a verb of some adapter (drop table), or a class (read, define)" },
    { name: "NAME", kind: "list", description: "what it is done to: a relation, a column, a tool" },
  ],
  options: [{ name: "on", value: "TARGET", description: "only there" }, ...POLICY_OPTIONS],
  notes: [
    "Who may is everybody that has at least what is said: `people of dba` are also those of dba and other groups.",
    "Guards that speak of it are listed apart, with all that they are about; exceptions are counted in what is permitted.",
    "",
    "  weir policy who-can drop table public.orders",
    "  weir policy who-can define --on orders-prod",
    "",
    'JSON: {"permitted": [{"rules", "terms", "cases": [{"subjects", "targets", "what", "when"}]}],',
    '  "guards": [{"id", "file", "line", "mode", "kind": "deny|require|oblige", "targets"}], "unknown": [text]}',
  ],
  run: async (args, terminal) => {
    const { folder, targets } = policyPlace(args, terminal);
    const side = await loadSide({ kind: "folder", text: "the working tree", dir: folder }, folder, targets);
    const text = [args.required("ACTION"), ...args.rest].join(" ");
    const read = readAction(text, VOCABULARIES);
    if ("problem" in read)
      throw new UsageError(
        read.problem,
        read.suggestion === "" ? "weir schema policy lists the verbs." : read.suggestion,
      );
    const on = args.text("on");
    const names = side.targets.map(({ name }) => name);
    if (on !== undefined && !names.includes(on))
      throw new CommandError(`there is no target ${on}${hintFor(on, names)}`);
    const adapters = new Set(read.actions.map(({ vocabulary }) => vocabulary.name));
    const places = side.targets.filter(
      ({ name, adapter }) => adapters.has(adapter) && (on === undefined || name === on),
    );
    if (places.length === 0)
      throw new CommandError(
        `no target known here speaks of that: ${[...adapters].join(", ")}`,
        "Run weir policy catalog pull.",
      );
    const answer = whoCan({
      side: { set: side.set, targets: places },
      vocabularies: VOCABULARIES,
      accessesOf: askedAccesses(read.actions),
      now: Date.now(),
    });
    if (args.isJson) terminal.out(JSON.stringify(viewOf(answer)));
    else for (const line of answerLines(answer, groupNames([side.set]))) terminal.out(printable(line));
    return 0;
  },
};

/** Of all that can be done on a target, what was asked about; what is not known to be there is taken to be. */
function askedAccesses(
  actions: readonly AskedAction[],
): (target: Target, catalog: CatalogTarget | null, rules: readonly Rule[]) => PossibleAccesses {
  return (target, catalog, rules) => {
    const action = actions.find(({ vocabulary }) => vocabulary.name === target.adapter);
    if (action === undefined) return { accesses: [], connects: [], untried: null };
    const possible = possibleAccesses(target, catalog, rules);
    // Somebody who asks means something that can be read.
    const isKnown = (access: Access): boolean => Object.values(access.facts).every((fact) => fact !== UNKNOWN);
    const all = [...possible.accesses].filter((access) => access.opaque !== true && isKnown(access));
    const asked = all.filter((access) => isAsked(access, action));
    if (asked.length > 0) return { accesses: asked, connects: [], untried: possible.untried };
    const classes = new Set<Access["class"]>(
      all.filter((access) => isAsked(access, { ...action, names: [] })).map((access) => access.class),
    );
    const supposed = (classes.size === 0 ? ACCESS_CLASSES : [...classes]).flatMap(
      (each) => supposedAccess(action, each) ?? [],
    );
    const untried = `${action.names.join(" ")} is not known to be there`;
    return { accesses: supposed, connects: [], untried };
  };
}

function answerLines({ permitted, guards, untried }: Answer, groups: GroupNames): readonly string[] {
  return [
    ...(permitted.length === 0 ? ["Nobody may."] : permitted.flatMap(permittedLines)),
    ...(guards.length === 0 ? [] : ["Guards that speak of it:", ...guards.map((guard) => guardLine(guard, groups))]),
    ...untried.map((text) => `UNKNOWN  ${text}`),
  ];
}

function permittedLines({ rules, is, cases }: ReportedChange): readonly string[] {
  return [`by ${rules.join(", ")}${is === "" ? "" : `: ${is}`}`, ...cases.map(caseLine)];
}

function caseLine({ subjects, targets, what, when }: ReportedCase): string {
  const where = `${shortList(subjects, LIST_MAX)} on ${shortList(targets, LIST_MAX)}`;
  return `  ${where}: ${shortList(what, LIST_MAX, "; ")}${when === "" ? "" : `, ${when}`}`;
}

function guardLine({ guard, targets }: StandingGuard, groups: GroupNames): string {
  const { id, file, line, mode, except, subject } = guard;
  const exceptions =
    except.length === 0 ? "" : `, ${except.length} ${except.length === 1 ? "exception" : "exceptions"}`;
  const observes = mode === "observe" ? ", only observes" : "";
  return `  ${id} (${file}:${line}${exceptions}${observes}) on ${shortList(targets, LIST_MAX)}: ${consequenceWords(guard, groups)}, for ${matcherWords(subject, groups)}`;
}

function consequenceWords(guard: StandingGuard["guard"], groups: GroupNames): string {
  const { consequence } = guard;
  switch (consequence.kind) {
    case "deny":
      return `denies (${consequence.message})`;
    case "require":
      return `asks for ${requirementWords(consequence.requirements, groups)}`;
    case "oblige":
      return obligationsWords(obligationsOf(guard)) === ""
        ? "masks"
        : `obliges ${obligationsWords(obligationsOf(guard))}`;
  }
}

function viewOf({ permitted, guards, untried }: Answer): object {
  return {
    permitted: permitted.map(({ rules, is, cases }) => ({ rules, terms: is, cases })),
    guards: guards.map(({ guard: { id, file, line, mode, consequence }, targets }) => ({
      id,
      file,
      line,
      mode,
      kind: consequence.kind,
      targets,
    })),
    unknown: untried,
  };
}
