/** Small worlds of policy for tests: rules as authors write them, compiled through the real loader, with stubbed conditions. */
import type { AccessClass } from "../src/core/operation.ts";
import type { Vocabulary } from "../src/core/vocabulary.ts";
import type { Condition } from "../src/policy/language/condition.ts";
import { RuleIndex } from "../src/policy/engine/index.ts";
import { compileFolder } from "../src/policy/load.ts";
import { formatProblem, hasErrors } from "../src/policy/problems.ts";
import type { Rule } from "../src/policy/engine/rule.ts";
import { OTHER, POLICY_YAML, TARGETS, TINY } from "./policy-sets.ts";

export type WrittenSubject = {
  any?: true;
  names?: string[];
  groups?: string[];
  kinds?: ("human" | "agent" | "service")[];
  owners?: string[];
};
export type WrittenTarget = { any?: true; names?: string[]; labels?: Record<string, string[]> };

type WrittenKeys = Record<string, string[] | boolean | (string | string[])[][] | Record<string, string[]>>;
export type WrittenBlock = { any?: true; classes?: AccessClass[]; tiny?: WrittenKeys; other?: WrittenKeys };
export type WrittenAction = WrittenBlock | WrittenBlock[];

export type WrittenException = {
  subject?: WrittenSubject;
  target?: WrittenTarget;
  action?: WrittenAction;
  grant?: string;
  condition?: ConditionText;
  unread?: true;
  validUntil?: string;
  reason: string;
};

export type WrittenMask = {
  columns?: string[];
  fields?: string[];
  with: "redact" | "null" | "hash" | "partial";
  keepFirst?: number;
  keepLast?: number;
  predicates?: "masked" | "deny" | "equality";
};
export type WrittenObligations = {
  mask?: WrittenMask[];
  limit?: { rows?: number; time?: string; budget?: { rows: true; max: number; per: "session"; across: "subject" }[] };
  record?: ("input" | "output" | "raw")[];
  session?: { readOnly?: true; maxDuration?: string; idle?: string };
  alert?: { channel: string; severity: "info" | "warning" | "critical" }[];
};
export type WrittenRequirements = {
  approval?: {
    from: { groups?: string[]; subjects?: string[] };
    count: number;
    within: string;
    validFor: string;
    uses?: number;
    distinctFrom?: string[];
  };
  justification?: { pattern?: string };
  stepUp?: "mfa";
  confirm?: "owner";
};

/** Rules as authors write them. */
export type WrittenRule = {
  readonly id: string;
  readonly contact?: string;
  readonly subject?: WrittenSubject;
  readonly target?: WrittenTarget;
  readonly action: WrittenAction;
  readonly condition?: ConditionText;
  readonly window?: "$day" | { outside: "$day" };
  readonly validFrom?: string;
  readonly validUntil?: string;
  readonly allowOpaque?: boolean;
  readonly activation?: { maxDuration: string; requirements: WrittenRequirements };
  readonly obligations?: WrittenObligations;
  readonly mode?: "enforce" | "observe";
  readonly except?: (WrittenException | "$known")[];
  readonly deny?: string;
  readonly require?: WrittenRequirements;
  readonly oblige?: WrittenObligations;
};

/** The protocols of the world: tiny with names that guards compare without regard to case, and other. */
export const WORLD: readonly Vocabulary[] = [
  {
    ...TINY,
    keys: { ...TINY.keys, labels: { kind: "names", description: "Names in any case.", guardsIgnoreCase: true } },
  },
  { ...OTHER, keeps: TINY.keeps },
];

/** Groups and sets of this world. */
export const GROUPS: Readonly<Record<string, string>> = { ops: "ops", devs: "7f3c", risk: "9a9a" };
export const SETS: Readonly<Record<string, readonly string[]>> = { mine: ["a", "s.*"], builtin: ["sys.*"] };
/** From eight to eighteen in UTC, every day. */
const DAY = { from: "08:00", to: "18:00", tz: "UTC" } as const;
/** A named exception. */
export const KNOWN: WrittenException = { action: { tiny: { verbs: ["get"], things: ["a"] } }, reason: "Known." };
/** The whole of a justification that the pattern $ticket matches. */
export const TICKET = "T-1";

/**
 * What the conditions of this world come to: given, so that the engine is tried apart from the expressions. The texts
 * are real ones, as the compiler says of each whether it speaks of the access or of the time.
 */
export const CONDITIONS = {
  "subject.name == 'yes'": true,
  "subject.name == 'no'": false,
  "subject.name == 'unknown'": null,
  "subject.name == 'error'": "throws",
  "access.class == 'read' && subject.name != 'yes'": true,
  "access.class == 'read' && subject.name != 'no'": false,
  "now > timestamp('2027-01-01T00:00:00Z') && subject.name != 'yes'": true,
  "now > timestamp('2027-01-01T00:00:00Z') && subject.name != 'no'": false,
} as const satisfies Record<string, boolean | null | "throws">;
export type ConditionText = keyof typeof CONDITIONS;

const encoder = new TextEncoder();

/** As authors mostly write it, a key on each line and flow collections behind them: that is read in a tenth of the time that JSON takes. */
function yamlOf(content: object): string {
  return Object.entries(content)
    .map(([key, value]) => `${key}: ${flowOf(value)}\n`)
    .join("");
}

function flowOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flowOf).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{ ${entries.map(([key, each]) => `${key}: ${flowOf(each)}`).join(", ")} }`;
}

/** Compiles rules through the real loader; the i-th file of each list holds its rules in that order. */
export async function indexOf(
  permitFiles: readonly (readonly WrittenRule[])[],
  guardFiles: readonly (readonly WrittenRule[])[],
): Promise<RuleIndex> {
  const file = (path: string, content: string | object) => ({
    path,
    bytes: encoder.encode(typeof content === "string" ? content : yamlOf(content)),
    sha256: "",
  });
  const head = { apiVersion: "weir.dev/v1" };
  const vocabulary = {
    ...head,
    kind: "Vocabulary",
    sets: { mine: SETS["mine"] },
    groups: GROUPS,
    windows: { day: DAY },
    exceptions: { known: KNOWN },
    patterns: { ticket: { pattern: "T-[0-9]", match: [TICKET], noMatch: ["T"] } },
  };
  const files = [
    file("policy.yaml", POLICY_YAML),
    file("vocabulary.yaml", vocabulary),
    ...permitFiles
      .filter((rules) => rules.length > 0)
      .map((rules, at) => file(`permits/${at}.yaml`, { ...head, kind: "Permits", rules })),
    ...guardFiles
      .filter((rules) => rules.length > 0)
      .map((rules, at) => file(`guards/${at}.yaml`, { ...head, kind: "Guards", rules })),
  ];
  const loaded = await compileFolder({ realDir: "/", files, digest: "", problems: [] }, WORLD, TARGETS);
  if (hasErrors(loaded.problems)) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return new RuleIndex(loaded.rules.map(stubConditions), WORLD, loaded.author.patterns);
}

/** The same set with other rules in it. */
export function changed(index: RuleIndex, change: (rules: readonly Rule[]) => readonly Rule[]): RuleIndex {
  return new RuleIndex(change(index.rules), WORLD, index.patterns);
}

function stubConditions(rule: Rule): Rule {
  const condition = stubbed(rule.condition);
  if (rule.effect === "permit") return { ...rule, condition };
  return { ...rule, condition, except: rule.except.map((each) => ({ ...each, condition: stubbed(each.condition) })) };
}

function stubbed(condition: Condition | null): Condition | null {
  if (condition === null) return null;
  const truths: Readonly<Record<string, boolean | null | "throws">> = CONDITIONS;
  const truth = truths[condition.text] ?? null;
  return {
    ...condition,
    evaluate: () => {
      if (truth === "throws") throw new Error("the condition failed");
      return truth;
    },
  };
}
