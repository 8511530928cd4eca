/** Conditions: a subset of CEL over subject, target, access and time, typed when loaded, with three values. */
import { Environment, ParseError } from "@marcbachmann/cel-js";
import type { ASTNode } from "@marcbachmann/cel-js";
import type { Identity } from "../../core/identity.ts";
import { ACCESS_CLASSES } from "../../core/operation.ts";
import type { Access } from "../../core/operation.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import type { Vocabulary, VocabularyKey } from "../../core/vocabulary.ts";
import { compileExpression, ExpressionFault } from "./compile-expression.ts";
import type { Names } from "./compile-expression.ts";
import type { Expression } from "./expression.ts";
import { matcherKeys } from "./condition-keys.ts";
import { didYouMean } from "./nearest.ts";
import { quote } from "./shape.ts";

const TEXT_CHARS_MAX = 2000;
const PARSER = new Environment({
  limits: { maxAstNodes: 300, maxDepth: 20, maxListElements: 100, maxMapEntries: 1, maxCallArguments: 3 },
});

export type Condition = {
  readonly text: string;
  readonly usesNow: boolean;
  /** False: it speaks of the subject, the target and the time only. */
  readonly usesAccess: boolean;
  /** The keys of a rule that could say all of it; null when it says more than they can. */
  readonly simple: { readonly keys: readonly string[] } | null;
  /** Null when it cannot be told: a fact that is missing or unknown, an opaque access. Never throws. */
  evaluate(session: Session, access: Access, now: TimeMs): boolean | null;
};

/** What is wrong with a condition, and where within its text; both counted from 1. */
export type ConditionProblem = {
  readonly problem: string;
  readonly suggestion: string;
  readonly line: number;
  readonly column: number;
};

const SUBJECT_KINDS = ["human", "agent", "service"];

/**
 * A condition, or what is wrong with it. `vocabularies`: those of the adapters that the rule speaks about. `groups`:
 * the author's names of groups with the ids that identity providers send; conditions see the names.
 */
export function compileCondition(
  text: string,
  vocabularies: readonly Vocabulary[],
  groups: ReadonlyMap<string, string>,
): Condition | ConditionProblem {
  if (text.length > TEXT_CHARS_MAX) {
    const problem = `the condition is longer than ${TEXT_CHARS_MAX} characters`;
    return { problem, suggestion: "Split the rule", line: 1, column: 1 };
  }
  const names = new ConditionNames(vocabularies, groups);
  try {
    const tree = PARSER.parse(text).ast;
    const expression = compileExpression(tree, names);
    if (expression.type !== "bool") {
      throw new ExpressionFault(`a condition is true or false, and this is a ${expression.type}`, "", tree.pos);
    }
    return conditionOf(text, tree, expression, names);
  } catch (error) {
    if (error instanceof ExpressionFault) return problemAt(text, error.offset, error.message, error.suggestion);
    if (error instanceof ParseError) return problemAt(text, error.range?.start ?? 0, inWords(error), "");
    throw error;
  }
}

function conditionOf(
  text: string,
  tree: ASTNode,
  expression: Extract<Expression, { type: "bool" }>,
  { used }: ConditionNames,
): Condition {
  const keys = matcherKeys(tree);
  return {
    text,
    usesNow: used.has("now"),
    usesAccess: used.has("access"),
    simple: keys === null ? null : { keys },
    evaluate: (session, access, now) => expression.evaluate({ session, access, now, item: null }),
  };
}

function inWords({ code, summary }: ParseError): string {
  if (code === "limit_exceeded") return "the condition is too large or nested too deep";
  return summary === "Unexpected token: EOF" ? "the condition ends too early" : summary;
}

function problemAt(text: string, offset: number, problem: string, suggestion: string): ConditionProblem {
  const before = text.slice(0, offset).split("\n");
  return { problem, suggestion, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** What the names in a condition stand for. */
class ConditionNames implements Names {
  readonly variables = ["subject", "target", "access", "now"];
  /** Those that were asked for. */
  readonly used = new Set<string>();
  readonly #vocabularies: readonly Vocabulary[];
  readonly #groups: ReadonlyMap<string, string>;
  readonly #groupsOf = new WeakMap<Identity, readonly string[]>();

  constructor(vocabularies: readonly Vocabulary[], groups: ReadonlyMap<string, string>) {
    this.#vocabularies = vocabularies;
    this.#groups = groups;
  }

  resolve(path: readonly string[]): Expression | { readonly problem: string; readonly suggestion: string } {
    const [variable = "", field = "", ...more] = path;
    const fields = this.#fieldsOf(variable);
    this.used.add(variable);
    if (variable === "now" && path.length === 1)
      return { type: "timestamp", evaluate: ({ now }) => (Number.isFinite(now) ? now : null) };
    if (variable === "target" && field === "labels") return label(more);
    if (path.length === 1 || more.length > 0) {
      const suggestion = path.length === 1 && fields.length > 0 ? `Write ${variable}.${fields[0]}` : "";
      return { problem: `${quote(path.join("."))} is no value`, suggestion };
    }
    const expression = this.#field(variable, field);
    if (expression !== null) return expression;
    return { problem: `${variable} has no ${quote(field)}`, suggestion: didYouMean(field, fields) };
  }

  #fieldsOf(variable: string): readonly string[] {
    if (variable === "subject") return ["name", "kind", "groups", "owner", "issuer"];
    if (variable === "target") return ["name", "labels", "adapter"];
    if (variable === "now") return [];
    return ["class", ...new Set(this.#vocabularies.flatMap(({ keys }) => Object.keys(keys)))];
  }

  #field(
    variable: string,
    field: string,
  ): Expression | { readonly problem: string; readonly suggestion: string } | null {
    switch (`${variable}.${field}`) {
      case "subject.name":
        return { type: "string", values: null, evaluate: ({ session }) => session.identity.subject };
      case "subject.kind":
        return { type: "string", values: SUBJECT_KINDS, evaluate: ({ session }) => session.identity.kind };
      case "subject.issuer":
        return { type: "string", values: null, evaluate: ({ session }) => session.identity.issuer };
      case "subject.owner":
        return { type: "string", values: null, evaluate: ({ session }) => session.identity.owner ?? null };
      case "subject.groups": {
        const evaluate = ({ session }: { readonly session: Session }) => this.#namesOfGroups(session.identity);
        return { type: "list", values: [...this.#groups.keys()], evaluate };
      }
      case "target.name":
        return { type: "string", values: null, evaluate: ({ session }) => session.target.name };
      case "target.adapter": {
        const values = this.#vocabularies.map(({ name }) => name);
        return { type: "string", values, evaluate: ({ session }) => session.target.adapter };
      }
      case "access.class": {
        // The class of an opaque access only stands for the worst that it may be.
        const evaluate = ({ access }: { readonly access: Access }) => (access.opaque === true ? null : access.class);
        return { type: "string", values: ACCESS_CLASSES, evaluate };
      }
      default:
        return variable === "access" ? this.#fact(field) : null;
    }
  }

  #fact(key: string): Expression | { readonly problem: string; readonly suggestion: string } | null {
    const definitions = this.#vocabularies.flatMap(({ keys }) => {
      const definition = Object.hasOwn(keys, key) ? keys[key] : undefined;
      return definition === undefined ? [] : [definition];
    });
    if (definitions.length === 0) return null;
    const flags = definitions.filter(({ kind }) => kind === "flag").length;
    if (flags > 0 && flags < definitions.length) {
      const suggestion = "Say in the action which adapter the rule is about";
      return { problem: `${quote(key)} is a list for one adapter and a flag for another`, suggestion };
    }
    // Nothing that is said of an opaque access is all of it, but for what belongs to its session.
    const isOfSession = definitions.every(({ ofSession }) => ofSession === true);
    const factOf = ({ access }: { readonly access: Access }) =>
      access.opaque === true && !isOfSession ? undefined : access.facts[key];
    if (flags > 0) {
      const evaluate = (scope: { readonly access: Access }) => {
        const fact = factOf(scope);
        return typeof fact === "boolean" ? fact : null;
      };
      return { type: "bool", evaluate };
    }
    const evaluate = (scope: { readonly access: Access }) => {
      const fact = factOf(scope);
      return typeof fact === "object" ? fact : null;
    };
    return { type: "list", values: valuesOf(definitions), evaluate };
  }

  #namesOfGroups(identity: Identity): readonly string[] {
    let names = this.#groupsOf.get(identity);
    if (names === undefined) {
      names = [...this.#groups].filter(([, id]) => identity.groups.includes(id)).map(([name]) => name);
      this.#groupsOf.set(identity, names);
    }
    return names;
  }
}

function label(path: readonly string[]): Expression | { readonly problem: string; readonly suggestion: string } {
  const [key, ...more] = path;
  if (key === undefined || more.length > 0) {
    return { problem: "labels are asked for one by one", suggestion: "Write target.labels.env" };
  }
  const evaluate = ({ session }: { readonly session: Session }): string | null => {
    const { labels } = session.target;
    return Object.hasOwn(labels, key) ? (labels[key] ?? null) : null;
  };
  return { type: "string", values: null, evaluate };
}

/** All values there are, when every adapter lists them. */
function valuesOf(definitions: readonly VocabularyKey[]): readonly string[] | null {
  const values: string[] = [];
  for (const definition of definitions) {
    if (definition.kind !== "enum" || definition.values === undefined) return null;
    values.push(...definition.values);
  }
  return values;
}
