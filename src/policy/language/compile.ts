/** Turns the rules of one file into what the engine runs, and reports what their words do not mean. */
import { isWord, WORD_RULE } from "./author-vocabulary.ts";
import { compileAction } from "./compile-action.ts";
import { compileRuleCondition } from "./compile-condition.ts";
import { compileExceptions, compileInstant } from "./compile-exceptions.ts";
import { compileObligations } from "./compile-obligations.ts";
import type { Reach } from "./compile-obligations.ts";
import { compileDuration } from "./compile-quantity.ts";
import { compileRequirements } from "./compile-requirements.ts";
import { compileSubject } from "./compile-subject.ts";
import { compileTarget, targetsOf } from "./compile-target.ts";
import { compileRuleWindow } from "./compile-window.ts";
import { hasErrors } from "../problems.ts";
import type { Problem } from "../problems.ts";
import { canonicalRule, digestOfRule } from "./rule-digest.ts";
import type { GuardRule, PermitRule, Rule } from "../engine/rule.ts";
import { RuleScope } from "./rule-scope.ts";
import type { GuardsFile, PermitsFile } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Checked } from "./shape.ts";
import type { Source } from "./source.ts";
import type { Words } from "./words.ts";

/** A rule with what it says in a form that can be compared: equal texts, equal meaning. */
export type CompiledRule = { readonly rule: Rule; readonly canonical: string; readonly scope: RuleScope };

/** Compiles every rule of a file; a rule with an error is left out and reported. */
export function compileFile(
  { file, rulesAt }: Checked<PermitsFile | GuardsFile>,
  source: Source,
  words: Words,
  problems: Problem[],
): readonly CompiledRule[] {
  const rules: CompiledRule[] = [];
  for (const [index, written] of file.rules.entries()) {
    const found: Problem[] = [];
    const scope = new RuleScope(written, file.defaults ?? {}, rulesAt[index] ?? index, source, words, found);
    const rule = file.kind === "Permits" ? compilePermit(scope) : compileGuard(scope);
    if (!hasErrors(found)) rules.push(rule);
    problems.push(...found);
  }
  return rules;
}

function compilePermit(scope: RuleScope): CompiledRule {
  const { rule } = scope;
  for (const key of ["subject", "target", "action"] as const) {
    if (Object.hasOwn(rule, key)) continue;
    scope.error("MISSING_KEY", scope.path, `${quote(rule.id)} has no ${key}`, PERMIT_PARTS[key]);
  }
  const base = compileBase(scope, true);
  const reach = reachOf(scope, base);
  const permit: Omit<PermitRule, "digest"> = {
    ...base,
    effect: "permit",
    allowOpaque: rule.allowOpaque === true,
    activation: compileActivation(scope),
    obligations:
      rule.obligations === undefined
        ? null
        : compileObligations(scope, rule.obligations, scope.at("obligations"), reach),
  };
  if (!hasErrors(scope.problems)) warnOfWidePermit(scope);
  const canonical = canonicalRule("permit", rule, scope.references);
  return { rule: { ...permit, digest: digestOfRule(canonical) }, canonical, scope };
}

const PERMIT_PARTS = {
  subject: "A permit says to whom, such as subject: { groups: [...] }, or subject: { any: true }",
  target: "A permit says where, such as target: { names: [...] }, or target: { any: true }",
  action: "A permit says what, such as action: { classes: [read] }, or action: { any: true }",
};

function compileGuard(scope: RuleScope): CompiledRule {
  const { rule } = scope;
  if (rule.action === undefined) {
    const suggestion = "A guard says what it is about, such as action: { classes: [define] }, or action: { any: true }";
    scope.error("MISSING_KEY", scope.path, `${quote(rule.id)} has no action`, suggestion);
  }
  const base = compileBase(scope, false);
  const guard: GuardRule = {
    ...base,
    effect: "guard",
    mode: rule.mode ?? "enforce",
    except: rule.except === undefined ? [] : compileExceptions(scope, rule.except, scope.at("except"), base.blocks),
    consequence: compileConsequence(scope, reachOf(scope, base)),
  };
  return { rule: guard, canonical: canonicalRule("guard", rule, scope.references), scope };
}

type Base = ReturnType<typeof compileBase>;

function compileBase(scope: RuleScope, isPermit: boolean) {
  const { rule, source } = scope;
  if (!isWord(rule.id)) scope.error("BAD_VALUE", scope.at("id"), `${quote(rule.id)} cannot name a rule`, WORD_RULE);
  const { line, column } = source.placeOf(scope.path);
  const target = compileTarget(scope, rule.target, scope.at("target"), rule.id);
  scope.targets = targetsOf(scope, target);
  const blocks = compileAction(scope, rule.action, scope.at("action"), isPermit ? "permit" : "guard");
  const { validFrom, validUntil } = rule;
  const base = {
    id: rule.id,
    file: source.file,
    line,
    column,
    description: rule.description?.trim() ?? null,
    contact: sentence(scope, "contact"),
    subject: compileSubject(scope, rule.subject, scope.at("subject"), isPermit),
    target,
    blocks,
    condition: compileRuleCondition(scope, rule.condition, scope.at("condition"), blocks),
    window: compileRuleWindow(scope, rule.window, scope.at("window")),
    validFromMs: validFrom === undefined ? -Infinity : compileInstant(scope, validFrom, scope.at("validFrom")),
    validUntilMs: validUntil === undefined ? Infinity : compileInstant(scope, validUntil, scope.at("validUntil")),
  };
  if (base.validFromMs >= base.validUntilMs) {
    const message = "validUntil is not after validFrom, so the rule is never valid";
    scope.error("BAD_VALUE", scope.at("validUntil"), message);
  }
  return base;
}

function compileActivation(scope: RuleScope): PermitRule["activation"] {
  const written = scope.rule.activation;
  if (written === undefined) return null;
  const path = scope.at("activation");
  return {
    maxDurationMs: compileDuration(scope, written.maxDuration, [...path, "maxDuration"]) ?? 0,
    requirements: compileRequirements(scope, written.requirements, [...path, "requirements"], scope.rule.id),
  };
}

const CONSEQUENCES = ["deny", "require", "oblige"] as const;

function compileConsequence(scope: RuleScope, reach: Reach): GuardRule["consequence"] {
  const { rule } = scope;
  const [first, second] = CONSEQUENCES.filter((key) => rule[key] !== undefined);
  if (first === undefined) {
    const suggestion =
      "A guard says deny: and a sentence for people, require: { approval: { from: { groups: [...] } } }, or oblige: { limit: { rows: 100 } }";
    scope.error("MISSING_KEY", scope.path, `${quote(rule.id)} has no deny`, suggestion);
  } else if (second !== undefined) {
    const from = scope.at(second)[0] === "defaults" ? " (from the defaults)" : "";
    const message = `a guard says one of deny, require and oblige, and this one says ${first} and ${second}${from}`;
    scope.error("BAD_VALUE", scope.at(second), message, "Write two guards", "key");
  }
  if (rule.require !== undefined) {
    const requirements = compileRequirements(scope, rule.require, scope.at("require"), rule.id);
    return { kind: "require", requirements };
  }
  if (rule.oblige !== undefined)
    return { kind: "oblige", obligations: compileObligations(scope, rule.oblige, scope.at("oblige"), reach) };
  return { kind: "deny", message: sentence(scope, "deny") ?? "" };
}

/** What the obligations of a rule are about. */
function reachOf(scope: RuleScope, { blocks }: Base): Reach {
  const isSpokenOf = (adapter: string): boolean => (blocks.get(adapter)?.length ?? 0) > 0;
  if (namesAdapters(scope)) return { blocks, adapters: [...blocks.keys()].filter(isSpokenOf) };
  const met = scope.targets?.map(({ adapter }) => adapter).filter(isSpokenOf) ?? [];
  return { blocks, adapters: met.length === 0 ? null : [...new Set(met)] };
}

/** True when every block of the action names an adapter: then the author has said which protocols are meant. */
function namesAdapters({ rule: { action }, words }: RuleScope): boolean {
  const blocks = Array.isArray(action) ? action : [action];
  return blocks.every(
    (block: unknown) =>
      typeof block === "object" && block !== null && words.vocabularies.some(({ name }) => Object.hasOwn(block, name)),
  );
}

/** Text that is shown to people and to terminals: one line, without control characters. */
function sentence(scope: RuleScope, key: "contact" | "deny"): string | null {
  const text = scope.rule[key]?.trim();
  if (text === undefined) return null;
  if (text === "") scope.error("BAD_VALUE", scope.at(key), "the text is empty");
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x20 && (unit < 0x7f || unit > 0x9f)) continue;
    scope.error("BAD_VALUE", scope.at(key), "the text must be one line without control characters");
    break;
  }
  return text;
}

function warnOfWidePermit(scope: RuleScope): void {
  const { id, subject, validUntil } = scope.rule;
  if (subject?.any === true) {
    const message = `${id} permits something to anybody, agents included`;
    scope.warning("PERMIT_FOR_ANY_SUBJECT", scope.at("subject"), message, "Name groups, or kinds such as [human]");
  } else if (subject?.kinds?.includes("agent") === true && validUntil === undefined) {
    const message = `${id} permits something to agents for ever`;
    scope.warning(
      "AGENT_PERMIT_WITHOUT_END",
      scope.at("id"),
      message,
      'Add validUntil, such as validUntil: "2030-12-31T00:00:00Z"',
    );
  }
}
