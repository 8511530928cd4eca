/** What can only be said of all rules together: ids are unique, and grants are of permits that sleep. */
import type { CompiledRule } from "./compile.ts";
import { checkUnusedExceptions } from "./compile-exceptions.ts";
import type { Problem } from "../problems.ts";
import { quote } from "./shape.ts";
import type { Words } from "./words.ts";

export function checkRules(rules: readonly CompiledRule[], words: Words, problems: Problem[]): void {
  const byId = new Map<string, CompiledRule>();
  for (const compiled of rules) {
    const { rule, scope } = compiled;
    const first = byId.get(rule.id)?.rule;
    if (first === undefined) {
      byId.set(rule.id, compiled);
      continue;
    }
    const message = `the id ${quote(rule.id)} is taken by ${first.file}:${first.line}`;
    problems.push(scope.source.problem("DUPLICATE_ID", [...scope.path, "id"], message));
  }
  const sleeping = rules.flatMap(({ rule }) => (rule.effect === "permit" && rule.activation !== null ? [rule.id] : []));
  for (const { rule, scope } of rules) {
    for (const [index, written] of (scope.rule.except ?? []).entries()) {
      if (rule.effect !== "guard" || typeof written === "string" || written.grant === undefined) continue;
      const path = [...scope.at("except"), index, "grant"];
      const problem = grantProblem(written.grant, byId, sleeping, words);
      if (problem !== null) problems.push(scope.source.problem("UNKNOWN_GRANT", path, ...problem));
    }
  }
  const used = rules.flatMap(({ scope }) => (scope.rule.except ?? []).filter((each) => typeof each === "string"));
  checkUnusedExceptions(words, new Set(used.map((name) => name.slice(1))), problems);
  const { source, exceptions } = words.author;
  for (const [name, { grant }] of Object.entries(exceptions)) {
    const problem = grant === undefined ? null : grantProblem(grant, byId, sleeping, words);
    if (problem !== null && source !== null)
      problems.push(source.problem("UNKNOWN_GRANT", ["exceptions", name, "grant"], ...problem));
  }
}

/** What is wrong with the permit that an exception wants a grant for; null when nothing is. */
function grantProblem(
  grant: string,
  byId: ReadonlyMap<string, CompiledRule>,
  sleeping: readonly string[],
  { suggestions }: Words,
): readonly [message: string, more: { readonly suggestion: string }] | null {
  const named = byId.get(grant)?.rule;
  if (named === undefined) {
    const suggestion = suggestions.didYouMean(grant, sleeping) || "Write a permit with activation";
    return [`there is no permit ${quote(grant)} that a grant could be for`, { suggestion }];
  }
  if (named.effect === "guard") {
    return [
      `${quote(grant)} is a guard, and grants are for permits`,
      { suggestion: suggestions.didYouMean(grant, sleeping) },
    ];
  }
  if (named.activation !== null) return null;
  return [`${quote(grant)} needs no grant`, { suggestion: "Give it activation, or remove grant here" }];
}
