/** A small world for the policy engine: rules and accesses to try, and a naive engine written straight from the language's meaning. */
import { UNKNOWN } from "../src/core/operation.ts";
import type { Access, AccessClass, FactValue, Operation, Unknown } from "../src/core/operation.ts";
import type { Session } from "../src/core/session.ts";
import { RuleIndex } from "../src/policy/index.ts";
import { compileFolder } from "../src/policy/load.ts";
import { formatProblem, hasErrors } from "../src/policy/problems.ts";
import { NOW, OTHER, POLICY_YAML, TARGETS, TINY } from "./policy-sets.ts";

/** Rules as authors write them. */
export type WrittenRule = {
  readonly id: string;
  readonly subject?: {
    any?: true;
    names?: string[];
    groups?: string[];
    kinds?: ("human" | "agent" | "service")[];
    owners?: string[];
  };
  readonly target?: { any?: true; names?: string[]; labels?: Record<string, string[]> };
  readonly action: WrittenBlock | WrittenBlock[];
  readonly validFrom?: string;
  readonly validUntil?: string;
  readonly allowOpaque?: boolean;
  readonly deny?: string;
};
export type WrittenBlock = {
  any?: true;
  classes?: AccessClass[];
  tiny?: Record<string, string[] | boolean>;
  other?: Record<string, string[] | boolean>;
};
/** Groups and sets of this world; sets are put in by hand below. */
const GROUPS: Readonly<Record<string, string>> = { ops: "ops", devs: "7f3c" };
const SETS: Readonly<Record<string, readonly string[]>> = { mine: ["a", "s.*"], builtin: ["sys.*"] };

const encoder = new TextEncoder();

/** Compiles rules through the real loader; the i-th file of each list holds its rules in that order. */
export async function indexOf(
  permitFiles: readonly (readonly WrittenRule[])[],
  guardFiles: readonly (readonly WrittenRule[])[],
): Promise<RuleIndex> {
  const file = (path: string, content: unknown) => ({
    path,
    // JSON is YAML.
    bytes: encoder.encode(typeof content === "string" ? content : JSON.stringify(content)),
    sha256: "",
  });
  const head = { apiVersion: "weir.dev/v1" };
  const files = [
    file("policy.yaml", POLICY_YAML),
    file("vocabulary.yaml", { ...head, kind: "Vocabulary", sets: { mine: SETS["mine"] }, groups: GROUPS }),
    ...permitFiles
      .filter((rules) => rules.length > 0)
      .map((rules, at) => file(`permits/${at}.yaml`, { ...head, kind: "Permits", rules })),
    ...guardFiles
      .filter((rules) => rules.length > 0)
      .map((rules, at) => file(`guards/${at}.yaml`, { ...head, kind: "Guards", rules })),
  ];
  const loaded = await compileFolder({ realDir: "/", files, digest: "", problems: [] }, [TINY, OTHER], TARGETS);
  if (hasErrors(loaded.problems)) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return new RuleIndex(loaded.rules, [TINY, OTHER]);
}

/* ---- the naive engine: from the meaning of the language, with no index, no compilation and no code shared ---- */

type Truth = "true" | "false" | "unknown";
const and = (...all: Truth[]): Truth =>
  all.includes("false") ? "false" : all.includes("unknown") ? "unknown" : "true";
const or = (...any: Truth[]): Truth => (any.includes("true") ? "true" : any.includes("unknown") ? "unknown" : "false");
const truth = (value: boolean): Truth => (value ? "true" : "false");

/** `*` stops at . and /, `**` crosses them. */
function globMatches(pattern: string, name: string): boolean {
  if (pattern === "") return name === "";
  if (pattern.startsWith("**"))
    return globMatches(pattern.slice(2), name) || (name !== "" && globMatches(pattern, name.slice(1)));
  if (pattern.startsWith("*")) {
    return (
      globMatches(pattern.slice(1), name) ||
      (name !== "" && !"./".includes(name.charAt(0)) && globMatches(pattern, name.slice(1)))
    );
  }
  return name !== "" && pattern.charAt(0) === name.charAt(0) && globMatches(pattern.slice(1), name.slice(1));
}

function listed(name: string, list: readonly string[]): boolean {
  return list.some((text) =>
    text.startsWith("$") ? listed(name, SETS[text.slice(1)] ?? []) : globMatches(text, name),
  );
}

function subjectHolds(rule: WrittenRule, isPermit: boolean, session: Session): boolean {
  const { subject } = rule;
  const { kind, subject: name, groups, owner } = session.identity;
  if (subject === undefined || subject.any === true) return true;
  const kinds = subject.kinds ?? (isPermit ? ["human"] : ["human", "agent", "service"]);
  return (
    kinds.includes(kind) &&
    (subject.names === undefined || listed(name, subject.names)) &&
    (subject.groups === undefined || subject.groups.some((group) => groups.includes(GROUPS[group] ?? ""))) &&
    (subject.owners === undefined || (owner !== undefined && listed(owner, subject.owners)))
  );
}

function targetHolds(rule: WrittenRule, session: Session): boolean {
  const { target } = rule;
  if (target === undefined || target.any === true) return true;
  return (
    (target.names === undefined || listed(session.target.name, target.names)) &&
    Object.entries(target.labels ?? {}).every(([key, values]) => values.includes(session.target.labels[key] ?? ""))
  );
}

function isValid(rule: WrittenRule, now: number): boolean {
  return (
    (rule.validFrom === undefined || Date.parse(rule.validFrom) <= now) &&
    (rule.validUntil === undefined || now < Date.parse(rule.validUntil))
  );
}

function valueTruth(
  spec: string[] | boolean,
  fact: FactValue | Unknown | undefined,
  isPermit: boolean,
  isOpaque: boolean,
): Truth {
  // Of an opaque access, nothing can be ruled out for a guard; what is absent is unknown to a permit.
  const absent: Truth = isOpaque ? "unknown" : "false";
  if (fact === undefined) return absent;
  if (fact === UNKNOWN) return "unknown";
  let holds: boolean;
  if (typeof spec === "boolean") holds = fact === spec;
  else if (typeof fact === "boolean") return "unknown";
  else
    holds = isPermit
      ? fact.length > 0 && fact.every((value) => listed(value, spec))
      : fact.some((value) => listed(value, spec));
  if (holds) return "true";
  return isPermit ? "false" : absent;
}

function blockTruth(block: WrittenBlock, access: Access, adapter: string, isPermit: boolean): Truth {
  if (block.any === true) return "true";
  const isOpaque = access.opaque === true;
  const adapters = Object.keys(block).filter((key) => key !== "classes");
  if (adapters.length > 0 && !adapters.includes(adapter)) return "false";
  const spec = (adapter === "tiny" ? block.tiny : block.other) ?? {};
  const parts: Truth[] = Object.entries(spec).map(([key, values]) =>
    valueTruth(values, access.facts[key], isPermit, isOpaque),
  );
  if (block.classes !== undefined) {
    const isListed = block.classes.includes(access.class);
    parts.push(isPermit || !isOpaque ? truth(isListed) : "unknown");
  }
  // A tool is matched only by a permit that names tools, or that says nothing of the adapter's keys at all.
  const tools = access.facts["tools"];
  const hasTools = tools !== undefined && !(typeof tools === "object" && tools.length === 0);
  if (isPermit && hasTools && Object.keys(spec).length > 0 && !("tools" in spec)) parts.push("false");
  return and(...parts);
}

function matches(rule: WrittenRule, isPermit: boolean, access: Access, session: Session, now: number): Truth {
  const blocks = Array.isArray(rule.action) ? rule.action : [rule.action];
  return and(
    truth(subjectHolds(rule, isPermit, session)),
    truth(targetHolds(rule, session)),
    truth(isValid(rule, now)),
    or(...blocks.map((block) => blockTruth(block, access, session.target.adapter, isPermit))),
  );
}

/** Does the rule speak of this session's protocol at all, and of what the access says of the session (its rooms)? */
function letsIn(rule: WrittenRule, access: Access, adapter: string): boolean {
  const blocks = Array.isArray(rule.action) ? rule.action : [rule.action];
  return blocks.some((block) => {
    const adapters = Object.keys(block).filter((key) => key !== "classes" && key !== "any");
    const speaks = adapters.length === 0 || adapters.includes(adapter);
    const rooms = adapter === "tiny" ? block.tiny?.["rooms"] : undefined;
    const fact = access.facts["rooms"];
    return speaks && (rooms === undefined || fact === undefined || valueTruth(rooms, fact, true, false) === "true");
  });
}

export type NaiveDecision = {
  readonly kind: "permit" | "deny";
  readonly code: string;
  readonly rules: readonly string[];
};

/** The decision as the meaning of the language gives it; `isConnect`: whether a session may open. */
export function decideNaively(
  permits: readonly WrittenRule[],
  guards: readonly WrittenRule[],
  session: Session,
  operation: Operation,
  now: number = NOW,
  isConnect = false,
): NaiveDecision {
  const anything: Access = { class: "administer", facts: {}, opaque: true };
  const isHidden = !operation.understood && !operation.accesses.some((access) => access.opaque === true);
  const accesses: Access[] = [
    ...operation.accesses,
    ...(isHidden || operation.accesses.length === 0 ? [anything] : []),
  ];
  const admitting = (access: Access) =>
    permits.filter(
      (rule) =>
        subjectHolds(rule, true, session) &&
        targetHolds(rule, session) &&
        isValid(rule, now) &&
        letsIn(rule, access, session.target.adapter),
    );
  const isAmbient = (access: Access) => (isConnect || access.ambient === true) && access.opaque !== true;
  const covering = (access: Access) =>
    permits.filter(
      (rule) =>
        (access.opaque !== true || rule.allowOpaque === true) && matches(rule, true, access, session, now) === "true",
    );
  const unpermitted = accesses.filter(
    (access) => (isAmbient(access) ? admitting(access) : covering(access)).length === 0,
  );
  const applying = guards.filter((rule) =>
    accesses.some((access) => matches(rule, false, access, session, now) !== "false"),
  );
  const ids = (rules: readonly WrittenRule[]) => [...new Set(rules.map((rule) => rule.id))].toSorted();
  if (applying.length === 0 && unpermitted.length === 0) {
    const carrying = accesses.filter((access) => !isAmbient(access)).flatMap(covering);
    const standing = accesses.flatMap((access) => ids(admitting(access)).slice(0, 1));
    return { kind: "permit", code: "", rules: carrying.length > 0 ? ids(carrying) : [...new Set(standing)].toSorted() };
  }
  const isReadableReason =
    unpermitted.some((access) => access.opaque !== true) ||
    applying.some((rule) =>
      accesses.some((access) => {
        const match = matches(rule, false, access, session, now);
        return match === "true" || (match === "unknown" && access.opaque !== true);
      }),
    );
  return { kind: "deny", code: isReadableReason ? "denied" : "not_understood", rules: ids(applying) };
}
