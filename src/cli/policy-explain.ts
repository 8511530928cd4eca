/** `weir policy explain`: the decision on one operation, with every rule and key that had something to say about it. */
import { ADAPTERS, VOCABULARIES } from "../../adapters/index.ts";
import { LogReader } from "../audit/query.ts";
import { RecordedOperations } from "../audit/recorded.ts";
import type { RecordedOperation } from "../audit/recorded.ts";
import { NOTHING_GIVEN } from "../core/given.ts";
import type { Decision } from "../core/decision.ts";
import type { Identity } from "../core/identity.ts";
import { isObjectId } from "../policy/set/git.ts";
import { explain, missing } from "../policy/explain/explain.ts";
import type { Asked, ExplainedAccess, ExplainedRule, Explanation } from "../policy/explain/explain.ts";
import { RuleIndex } from "../policy/engine/index.ts";
import type { LoadedSet } from "../policy/load.ts";
import { obligationsWords, requirementWords } from "../policy/engine/obligation-words.ts";
import type { GroupNames } from "../policy/engine/obligation-words.ts";
import { runTests } from "../policy/tests/test-run.ts";
import { writtenRule } from "../policy/language/written-rule.ts";
import { ASKING_OPTIONS, loadAsked } from "./asked-case.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { operationEntries } from "./log-index.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";
import type { PolicyPlace } from "./policy-place.ts";
import { loadSide } from "./policy-sides.ts";
import type { LoadedSide } from "./policy-sides.ts";

const PART_WIDTH = 34;

/** What is explained: questions to a set, and what there is to say about the set. */
type Case = {
  readonly set: LoadedSet;
  readonly index: RuleIndex;
  readonly questions: readonly { readonly text: string; readonly asked: Asked }[];
  /** Lines for people about what is compared with what; empty mostly. */
  readonly remarks: readonly string[];
};

export const policyExplainCommand: Command = {
  words: ["policy", "explain"],
  summary: "Say why policy decides an operation as it does, with every rule and key",
  positionals: [],
  options: [
    ...ASKING_OPTIONS,
    { name: "decision", value: "ID", description: "an operation in the audit log, by the id that a refusal quotes" },
    { name: "all", description: "also rules about other subjects and targets, and all keys of all rules" },
    ...POLICY_OPTIONS,
  ],
  notes: [
    "Without --sql or another text, whether a session may open. SQL is read with the catalog (weir policy catalog pull).",
    "--decision reads the log of the configuration's data folder, beside a running gateway or without one, and explains by the set",
    "that decided, when its git commit is there, else by the set as it is now.",
    "Each key of a rule is yes, no, unknown (should be there and is not known) or none (this cannot have it).",
    "Ends with 0 whatever is decided.",
    "",
    "  weir policy explain --as bot --on orders-prod --sql 'drop table users'",
    "",
    'JSON, one line per operation: {"text", "at", "subject", "target", "decision": {"kind", "rules", "observed", "code", "message", "hint",',
    '  "obligations", "requirements"}, "policy": {"digest"}, "accesses": [{"what", "class", "facts", "rules": [{"id", "effect",',
    '  "file", "line", "standing": "matches|applies|may apply|lifted|no", "deciding", "nearest", "parts": [{"part", "truth", "why"}], "yaml"}]}]}',
  ],
  run: async (args, terminal) => {
    const place = policyPlace(args, terminal);
    const id = args.text("decision");
    const { set, index, questions, remarks } = await (id === undefined
      ? asked(args, place)
      : recorded(id, args, place, terminal));
    if (!args.isJson) for (const remark of remarks) terminal.err(printable(remark));
    for (const { text, asked: question } of questions) {
      const explanation = explain(index, question);
      if (args.isJson) terminal.out(JSON.stringify(viewOf(text, question, explanation, set)));
      else print(text, question, explanation, set, args.flag("all"), terminal);
    }
    return 0;
  },
};

async function asked(args: Arguments, { folder, targets }: PolicyPlace): Promise<Case> {
  const { set, asked: one } = await loadAsked(args, folder, targets);
  const index = new RuleIndex(set.rules, VOCABULARIES, set.author.patterns);
  const tools = new Map(ADAPTERS.map((adapter) => [adapter.name, adapter.policy]));
  const { results } = await runTests({ tests: [one], catalog: set.catalog }, index, tools, { now: Date.now() });
  const [result] = results;
  if (result === undefined || result.decided === null) {
    throw new CommandError(result?.failures.join("; ") ?? "it could not be decided");
  }
  return { set, index, questions: result.steps, remarks: [] };
}

/** An operation of the log, under the set that decided it where that can be had. */
async function recorded(
  id: string,
  args: Arguments,
  { folder, config }: PolicyPlace,
  terminal: Terminal,
): Promise<Case> {
  const unused = ASKING_OPTIONS.find(({ name }) => args.text(name) !== undefined);
  if (unused !== undefined) {
    throw new UsageError(`--${unused.name} does not go with --decision`, "The log says who asked for what, and when.");
  }
  if (config === null)
    throw new CommandError("the log is found by the configuration", "Name it with --config, beside --policies.");
  const operation = await findRecorded(id, config.data, terminal);
  const { timeMs, isConnect, decision } = operation;
  const { side, remark } = await decidingSet(folder, operation);
  const index = new RuleIndex(side.set.rules, VOCABULARIES, side.set.author.patterns);
  const question = { operation: operation.operation, isConnect, now: timeMs, given: NOTHING_GIVEN };
  const again = explain(index, question).decision;
  const by = decision.rules.length === 0 ? "" : ` by ${decision.rules.join(", ")}`;
  const code = decision.refusal === null ? "" : ` (${decision.refusal})`;
  const differs =
    again.kind === decision.kind
      ? []
      : [`It was recorded as ${decision.kind}${by}${code}: what people had given, and limits, are not looked at here.`];
  return {
    set: side.set,
    index,
    questions: [{ text: `operation ${id}`, asked: question }],
    remarks: [...remark, ...differs],
  };
}

async function findRecorded(id: string, data: string, terminal: Terminal): Promise<RecordedOperation> {
  const log = LogReader.open(data);
  try {
    const operations = new RecordedOperations();
    for (const { json } of await operationEntries(log, data, id, terminal)) {
      const found = operations.read(Buffer.from(json));
      if (found === null) continue;
      if (found.missing === null) return found;
      throw new CommandError(
        `${id} cannot be decided again: ${found.missing}`,
        `weir audit show ${id} prints what there is.`,
      );
    }
  } finally {
    log.close();
  }
  throw new CommandError(`the log has no operation ${id}`, "weir audit tail shows the last ones with their ids.");
}

async function decidingSet(
  folder: string,
  { decision }: RecordedOperation,
): Promise<{ readonly side: LoadedSide; readonly remark: readonly string[] }> {
  const now = await loadSide({ kind: "folder", text: "the working tree", dir: folder }, folder, null);
  if (now.revision.folder.digest === decision.digest) return { side: now, remark: [] };
  if (decision.commit !== null && isObjectId(decision.commit)) {
    const name = { kind: "commit", text: decision.commit.slice(0, 12), commit: decision.commit } as const;
    const then = await loadSide(name, folder, null).catch(() => null);
    if (then?.revision.folder.digest === decision.digest) return { side: then, remark: [] };
  }
  const digest = decision.digest.slice(0, 12);
  return {
    side: now,
    remark: [`The set that decided it (${digest}) is not here: this is what the policies as they are now say.`],
  };
}

/* ---- for people ---- */

function print(
  text: string,
  question: Asked,
  { decision, accesses }: Explanation,
  set: LoadedSet,
  isAll: boolean,
  terminal: Terminal,
): void {
  const groups = new Map(Object.entries(set.author.groups).map(([name, id]) => [id, name]));
  const out = (line: string): void => terminal.out(printable(line));
  out(`${decision.kind}  ${text}`);
  for (const line of decisionLines(decision, groups)) out(`  ${line}`);
  const { session } = question.operation;
  out(
    `  ${whoWords(session.identity, groups)} on ${session.target.name} at ${new Date(question.now).toISOString()}, policies ${set.folder.digest.slice(0, 12)}`,
  );
  for (const access of accesses) for (const line of accessLines(access, isAll)) out(line);
  const deciding = set.rules.filter(({ id }) => decision.rules.includes(id));
  for (const rule of deciding) {
    terminal.out("");
    // As it is written, with its lines; what it holds was checked when it was loaded.
    for (const line of writtenRule(set.folder, rule).split("\n")) out(line);
  }
}

function decisionLines(decision: Decision, groups: GroupNames): readonly string[] {
  const by = decision.rules.length === 0 ? [] : [`by ${decision.rules.join(", ")}`];
  const observed = decision.observed.length === 0 ? [] : [`observed, not enforced: ${decision.observed.join(", ")}`];
  if (decision.kind === "deny") {
    const { message, hint } = decision.refusal;
    return [...by, message, ...(hint === "" ? [] : [hint]), ...observed];
  }
  const asks = decision.kind === "ask" ? [`asks for ${requirementWords(decision.requirements, groups)}`] : [];
  const obligations = obligationsWords(decision.obligations);
  return [...by, ...asks, ...(obligations === "" ? [] : [obligations]), ...observed];
}

function whoWords({ subject, kind, groups: ids, owner }: Identity, groups: GroupNames): string {
  const member = ids.length === 0 ? "" : ` of ${ids.map((id) => groups.get(id) ?? id).join(", ")}`;
  return `${subject} (${kind}${member}${owner === undefined ? "" : `, owned by ${owner}`})`;
}

function accessLines({ access, what, rules }: ExplainedAccess, isAll: boolean): readonly string[] {
  const shown = rules.filter(({ isAbout, standing, isNearest }) => isAll || isAbout || isNearest || standing !== "no");
  const hidden = rules.length - shown.length;
  const others = hidden === 1 ? "1 rule is" : `${hidden} rules are`;
  return [
    "",
    `${what} (${access.class}${access.opaque === true ? ", could not be read" : ""})`,
    ...shown.flatMap((rule) => ruleLines(rule, isAll)),
    ...(hidden === 0 ? [] : [`  ${others} about other subjects or targets; --all shows them`]),
  ];
}

/** What stands to the access in some way has a line for each key; what does not, says what keeps it. */
function ruleLines({ rule, standing, isNearest, parts }: ExplainedRule, isAll: boolean): readonly string[] {
  const head = `  ${rule.effect === "permit" ? "permit" : "guard "} ${rule.id}  ${rule.file}:${rule.line}`;
  const isWhole = isAll || standing !== "no" || isNearest;
  if (!isWhole) {
    const kept = missing(parts).map(({ part, truth }) => `${part} ${truth}`);
    return [`${head}  no: ${kept.join(", ")}`];
  }
  const observed = rule.effect === "guard" && rule.mode === "observe" && standing !== "no" ? ", but only observes" : "";
  const lines = parts.map(({ part, truth, why }) =>
    `      ${part.padEnd(PART_WIDTH)} ${truth.padEnd(7)} ${why}`.trimEnd(),
  );
  return [`${head}  ${standing === "no" && isNearest ? "no, but nearest" : standing}${observed}`, ...lines];
}

/* ---- for programs ---- */

function viewOf(text: string, { operation, now }: Asked, { decision, accesses }: Explanation, set: LoadedSet): object {
  const { identity, target } = operation.session;
  const refusal = decision.kind === "deny" ? decision.refusal : null;
  return {
    text,
    at: new Date(now).toISOString(),
    subject: { name: identity.subject, kind: identity.kind, groups: identity.groups, owner: identity.owner ?? null },
    target: target.name,
    decision: {
      kind: decision.kind,
      rules: decision.rules,
      observed: decision.observed,
      code: refusal?.code ?? null,
      message: refusal?.message ?? "",
      hint: refusal?.hint ?? "",
      obligations: decision.kind === "deny" ? {} : decision.obligations,
      requirements: decision.kind === "ask" ? decision.requirements : [],
    },
    policy: { digest: set.folder.digest },
    accesses: accesses.map(({ access, what, rules }) => ({
      what,
      class: access.class,
      facts: Object.fromEntries(
        Object.entries(access.facts).map(([key, fact]) => [key, typeof fact === "symbol" ? null : fact]),
      ),
      rules: rules.map(({ rule, standing, isDeciding, isNearest, parts }) => ({
        id: rule.id,
        effect: rule.effect,
        file: rule.file,
        line: rule.line,
        standing,
        deciding: isDeciding,
        nearest: isNearest,
        parts,
        yaml: isDeciding || isNearest ? writtenRule(set.folder, rule) : null,
      })),
    })),
  };
}
