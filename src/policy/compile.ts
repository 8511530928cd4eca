/** Turns the rules of one file into what the engine runs, and reports what their words do not mean. */
import { NO_OBLIGATIONS } from "../core/decision.ts";
import type { TimeMs } from "../core/session.ts";
import { compileAction } from "./compile-action.ts";
import { compileSubject } from "./compile-subject.ts";
import { compileTarget } from "./compile-target.ts";
import { parseInstant } from "./instant.ts";
import { hasErrors } from "./problems.ts";
import type { Problem } from "./problems.ts";
import type { Rule } from "./rule.ts";
import { RuleScope } from "./rule-scope.ts";
import type { GuardsFile, PermitsFile } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Checked } from "./shape.ts";
import type { Source } from "./source.ts";
import { isWord, WORD_RULE } from "./words.ts";
import type { Words } from "./words.ts";

/** Compiles every rule of a file; a rule with an error is left out and reported. */
export function compileFile(
  { file, rulesAt }: Checked<PermitsFile | GuardsFile>,
  source: Source,
  words: Words,
  problems: Problem[],
): readonly Rule[] {
  const rules: Rule[] = [];
  for (const [index, written] of file.rules.entries()) {
    const found: Problem[] = [];
    const scope = new RuleScope(written, file.defaults ?? {}, rulesAt[index] ?? index, source, words, found);
    const rule = compileRule(scope, file.kind === "Permits");
    if (!hasErrors(found)) rules.push(rule);
    problems.push(...found);
  }
  return rules;
}

function compileRule(scope: RuleScope, isPermit: boolean): Rule {
  const { rule, source } = scope;
  for (const key of isPermit ? ["subject", "target", "action"] : ["action", "deny"]) {
    if (Object.hasOwn(rule, key)) continue;
    const suggestion = key === "deny" ? "A guard says deny: and a sentence for people" : "";
    scope.error("MISSING_KEY", scope.path, `${quote(rule.id)} has no ${key}`, suggestion);
  }
  if (!isWord(rule.id)) scope.error("BAD_VALUE", scope.at("id"), `${quote(rule.id)} cannot name a rule`, WORD_RULE);
  const base = {
    id: rule.id,
    file: source.file,
    line: source.lineOf(scope.path),
    contact: sentence(scope, "contact"),
    subject: compileSubject(scope, isPermit),
    target: compileTarget(scope),
    blocks: compileAction(scope),
    validFromMs: instant(scope, "validFrom") ?? -Infinity,
    validUntilMs: instant(scope, "validUntil") ?? Infinity,
  };
  if (base.validFromMs >= base.validUntilMs) {
    const message = "validUntil is not after validFrom, so the rule is never valid";
    scope.error("BAD_VALUE", scope.at("validUntil"), message);
  }
  if (!isPermit) return { ...base, effect: "deny", message: sentence(scope, "deny") ?? "" };
  if (!hasErrors(scope.problems)) warnOfWidePermit(scope);
  const decision = Object.freeze({
    kind: "permit",
    rules: Object.freeze([rule.id]),
    obligations: NO_OBLIGATIONS,
  } as const);
  return { ...base, effect: "permit", allowOpaque: rule.allowOpaque === true, decision };
}

function instant(scope: RuleScope, key: "validFrom" | "validUntil"): TimeMs | null {
  const text = scope.rule[key];
  if (text === undefined) return null;
  const ms = parseInstant(text);
  if (ms === null) {
    const suggestion = 'Write it like "2027-06-30T00:00:00Z"';
    scope.error("BAD_VALUE", scope.at(key), `${quote(text)} is not an instant`, suggestion);
  }
  return ms;
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
    scope.warning("PERMIT_FOR_ANY_SUBJECT", scope.at("subject"), message);
  } else if (subject?.kinds?.includes("agent") === true && validUntil === undefined) {
    const message = `${id} permits something to agents for ever`;
    scope.warning("AGENT_PERMIT_WITHOUT_END", scope.at("id"), message, "Add validUntil");
  }
}
