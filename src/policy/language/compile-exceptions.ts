/** Compiles where a guard does not apply: exceptions of the vocabulary by name, and those that are written in the rule. */
import type { TimeMs } from "../../core/session.ts";
import { compileAction } from "./compile-action.ts";
import { compileRuleCondition } from "./compile-condition.ts";
import { compileSubject } from "./compile-subject.ts";
import { compileTarget } from "./compile-target.ts";
import { parseInstant } from "./instant.ts";
import type { Problem } from "../problems.ts";
import type { Block, Blocks, Exception } from "../engine/rule.ts";
import { Scope } from "./rule-scope.ts";
import type { RuleScope, WrittenException, WrittenRule } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";
import type { Words } from "./words.ts";

/** `blocks` are the guard's own: what conditions are about where an exception says nothing of the action. */
export function compileExceptions(
  scope: RuleScope,
  written: NonNullable<WrittenRule["except"]>,
  path: Path,
  blocks: Blocks,
): readonly Exception[] {
  return written.flatMap((each, index) => {
    const at = [...path, index];
    if (typeof each !== "string") return [compileException(scope, each, at, null, scope.rule.id, blocks)];
    const exception = named(scope, each, at, blocks);
    return exception === null ? [] : [exception];
  });
}

function named(scope: RuleScope, text: string, path: Path, blocks: Blocks): Exception | null {
  const { author } = scope.words;
  const name = text.startsWith("$") ? text.slice(1) : null;
  const written = name !== null && Object.hasOwn(author.exceptions, name) ? author.exceptions[name] : undefined;
  if (name === null || written === undefined || author.source === null) {
    const message =
      name === null ? `${quote(text)} is not the name of an exception` : `there is no exception ${quote(text)}`;
    const known = Object.keys(author.exceptions).map((each) => `$${each}`);
    const suggestion =
      scope.words.suggestions.didYouMean(text, known) ||
      "Declare it in vocabulary.yaml under exceptions, or write it here";
    scope.error("UNKNOWN_EXCEPTION", path, message, suggestion);
    return null;
  }
  scope.references.set(`exception ${text}`, written);
  const there = new Scope(author.source, scope.words, scope.problems, scope.references, scope.targets);
  return compileException(there, written, ["exceptions", name], name, scope.rule.id, blocks);
}

/** Exceptions that no guard names are checked all the same. */
export function checkUnusedExceptions(words: Words, used: ReadonlySet<string>, problems: Problem[]): void {
  const { source, exceptions } = words.author;
  if (source === null) return;
  const everything: Blocks = new Map(words.vocabularies.map(({ name }) => [name, [ANYTHING]]));
  for (const [name, written] of Object.entries(exceptions)) {
    if (used.has(name)) continue;
    const scope = new Scope(source, words, problems, new Map(), words.targets);
    compileException(scope, written, ["exceptions", name], name, name, everything);
  }
}

const ANYTHING: Block = { classes: null, keys: [], sessionKeys: [], unnamedKeys: [] };

/** `rule` is the id of a guard that uses it, for messages. */
function compileException(
  scope: Scope,
  written: WrittenException,
  path: Path,
  name: string | null,
  rule: string,
  blocks: Blocks,
): Exception {
  const { subject, target, action, grant, condition, unread, validUntil, reason } = written;
  // What does not belong there was reported, and is no longer in `written`.
  if (scope.source.keysAt(path).every((key) => key === "reason" || key === "validUntil")) {
    const suggestion =
      "Write subject, target, action, grant, condition or unread: true; to let everything through, remove the guard";
    scope.error("BAD_VALUE", path, "the exception is for everything", suggestion);
  }
  const own = action === undefined ? null : compileAction(scope, action, [...path, "action"], "permit");
  if (reason.trim() === "") scope.error("BAD_VALUE", [...path, "reason"], "the text is empty");
  return {
    name,
    subject: compileSubject(scope, subject, [...path, "subject"], true),
    target: compileTarget(scope, target, [...path, "target"], rule),
    blocks: own,
    grant: grant ?? null,
    condition: compileRuleCondition(scope, condition, [...path, "condition"], own ?? blocks),
    unread: unread === true,
    validUntilMs: validUntil === undefined ? Infinity : compileInstant(scope, validUntil, [...path, "validUntil"]),
    reason: reason.trim(),
  };
}

/** Milliseconds since the epoch; NaN after an error. */
export function compileInstant(scope: Scope, text: string, path: Path): TimeMs {
  const ms = parseInstant(text);
  if (ms !== null) return ms;
  scope.error("BAD_VALUE", path, `${quote(text)} is not an instant`, 'Write it like "2027-06-30T00:00:00Z"');
  return Number.NaN;
}
