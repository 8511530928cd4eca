/** Compiles the tree of a condition: the part of CEL that is kept here, with the types of everything in it. */
import type { ASTNode } from "@marcbachmann/cel-js";
import { both, either, not, ofBoth, quantified } from "./expression.ts";
import type { Expression, Scope, Typed, Words } from "./expression.ts";
import { parseInstant } from "./instant.ts";
import { didYouMean } from "./nearest.ts";
import { parseDuration } from "./quantity.ts";
import { quote } from "./shape.ts";

/** The names that an expression may use: `subject.name`, `target.labels.env`, `now`. */
export interface Names {
  /** What a path may begin with. */
  readonly variables: readonly string[];
  /** An expression for the path, or a sentence that says why there is none and a suggestion. */
  resolve(path: readonly string[]): Expression | { readonly problem: string; readonly suggestion: string };
}

/** Why a text is no condition, and the place in it. */
export class ExpressionFault extends Error {
  readonly suggestion: string;
  readonly offset: number;

  constructor(message: string, suggestion: string, offset: number) {
    super(message);
    this.suggestion = suggestion;
    this.offset = offset;
  }
}

type Plain = string | number | boolean;

const FUNCTIONS = ["startsWith", "endsWith", "contains", "size", "exists", "all", "timestamp", "duration"];

/** Compiles a tree; throws ExpressionFault for what is not in the subset. */
export function compileExpression(node: ASTNode, names: Names): Expression {
  return new Compiler(names).compile(node);
}

class Compiler {
  readonly #names: Names;
  /** The variable of the `exists` or `all` that is being compiled. */
  #item: { readonly name: string; readonly values: readonly string[] | null } | null = null;

  constructor(names: Names) {
    this.#names = names;
  }

  compile(node: ASTNode): Expression {
    switch (node.op) {
      case "value":
        return literal(node.args, node);
      case "id":
      case ".":
      case "[]":
        return this.#named(node);
      case "!_":
        return not(this.#as("bool", node.args));
      case "&&":
        return both(this.#as("bool", node.args[0]), this.#as("bool", node.args[1]));
      case "||":
        return either(this.#as("bool", node.args[0]), this.#as("bool", node.args[1]));
      case "==":
        return this.#equal(node.args, node);
      case "!=":
        return not(this.#equal(node.args, node));
      case "<":
      case "<=":
      case ">":
      case ">=":
        return this.#compare(node.op, node.args, node);
      case "+":
      case "-":
        return this.#shift(node.op, node.args, node);
      case "in":
        return this.#member(node.args, node);
      case "list":
        return listOf(node.args);
      case "call":
        return this.#call(node.args, node);
      case "rcall":
        return this.#method(node.args, node);
      default:
        throw fault(node, `${quote(node.op.replace("_", ""))} is not in this subset of CEL`);
    }
  }

  #as<TType extends Expression["type"]>(type: TType, node: ASTNode): Typed<TType> {
    const expression = this.compile(node);
    if (isOf(expression, type)) return expression;
    throw fault(node, `this must be a ${type}, not a ${expression.type}`);
  }

  #named(node: ASTNode): Expression {
    const path = pathOf(node);
    if (path.length === 1 && this.#item?.name === path[0]) {
      return { type: "string", values: this.#item?.values ?? null, evaluate: (scope) => scope.item };
    }
    const { variables } = this.#names;
    const [variable = ""] = path;
    if (!variables.includes(variable)) {
      throw fault(rootOf(node), `there is no ${quote(variable)} here`, didYouMean(variable, variables));
    }
    const found = this.#names.resolve(path);
    if ("problem" in found) throw fault(node, found.problem, found.suggestion);
    return found;
  }

  #equal([leftNode, rightNode]: readonly [ASTNode, ASTNode], node: ASTNode): Typed<"bool"> {
    const left = this.compile(leftNode);
    const right = this.compile(rightNode);
    if (left.type !== right.type) throw fault(node, `a ${left.type} is never equal to a ${right.type}`);
    if (left.type === "list" || right.type === "list") {
      throw fault(node, "lists are not compared: their order means nothing", "Use in, exists or all");
    }
    if (left.type === "string") this.#checkWords(left, rightNode);
    if (right.type === "string") this.#checkWords(right, leftNode);
    return ofBoth<Plain, Plain>(left, right, (a, b) => a === b);
  }

  #compare(op: "<" | "<=" | ">" | ">=", [leftNode, rightNode]: readonly [ASTNode, ASTNode], node: ASTNode) {
    const left = this.compile(leftNode);
    const right = this.compile(rightNode);
    if (!isNumeric(left) || !isNumeric(right) || left.type !== right.type) {
      throw fault(node, `${op} compares two of int, timestamp and duration, not ${left.type} and ${right.type}`);
    }
    switch (op) {
      case "<":
        return ofBoth(left, right, (a, b) => a < b);
      case "<=":
        return ofBoth(left, right, (a, b) => a <= b);
      case ">":
        return ofBoth(left, right, (a, b) => a > b);
      case ">=":
        return ofBoth(left, right, (a, b) => a >= b);
    }
  }

  /** `now - duration("1h")` and `now - timestamp("...")`. */
  #shift(op: "+" | "-", [leftNode, rightNode]: readonly [ASTNode, ASTNode], node: ASTNode): Expression {
    const left = this.compile(leftNode);
    const right = this.compile(rightNode);
    const isSpan = left.type === "timestamp" && right.type === "timestamp" && op === "-";
    if (!isSpan && !(left.type === "timestamp" && right.type === "duration")) {
      throw fault(node, `${op} is only for timestamps, not for ${left.type} and ${right.type}`);
    }
    const sign = op === "-" ? -1 : 1;
    const evaluate = (scope: Scope): number | null => {
      const a = left.evaluate(scope);
      const b = right.evaluate(scope);
      return a === null || b === null ? null : a + sign * b;
    };
    return { type: isSpan ? "duration" : "timestamp", evaluate };
  }

  #member([itemNode, listNode]: readonly [ASTNode, ASTNode], _node: ASTNode): Typed<"bool"> {
    const item = this.#as("string", itemNode);
    const list = this.#as("list", listNode);
    this.#checkWords(list, itemNode);
    if (listNode.op === "list") for (const each of listNode.args) this.#checkWords(item, each);
    return ofBoth(item, list, (a, b) => b.includes(a));
  }

  #call([name, args]: readonly [string, readonly ASTNode[]], node: ASTNode): Expression {
    const [only] = args;
    if (only === undefined || args.length > 1) throw unknownFunction(name, node);
    if (name === "size") return sizeOf(this.#as("list", only));
    const text = only.op === "value" && typeof only.args === "string" ? only.args : null;
    if (name === "timestamp") {
      const at = text === null ? null : parseInstant(text);
      if (at === null) throw fault(only, "this is not an instant", 'Write timestamp("2027-06-30T00:00:00Z")');
      return { type: "timestamp", evaluate: () => at };
    }
    if (name !== "duration") throw unknownFunction(name, node);
    const ms = text === null || text.endsWith("d") ? null : parseDuration(text);
    if (ms === null) throw fault(only, "this is not a duration", 'Write duration("15m")');
    return { type: "duration", evaluate: () => ms };
  }

  #method([name, receiver, args]: readonly [string, ASTNode, readonly ASTNode[]], node: ASTNode): Expression {
    const [first, second] = args;
    switch (name) {
      case "startsWith":
      case "endsWith":
      case "contains": {
        if (first === undefined || second !== undefined) throw unknownFunction(name, node);
        const text = this.#as("string", receiver);
        const part = this.#as("string", first);
        if (name === "startsWith") return ofBoth(text, part, (a, b) => a.startsWith(b));
        if (name === "endsWith") return ofBoth(text, part, (a, b) => a.endsWith(b));
        return ofBoth(text, part, (a, b) => a.includes(b));
      }
      case "size":
        if (first !== undefined) throw unknownFunction(name, node);
        return sizeOf(this.#as("list", receiver));
      case "exists":
      case "all":
        if (first === undefined || second === undefined || args.length > 2) throw unknownFunction(name, node);
        return this.#quantified(name, this.#as("list", receiver), first, second);
      default:
        throw unknownFunction(name, node);
    }
  }

  #quantified(name: "exists" | "all", list: Typed<"list">, variable: ASTNode, body: ASTNode): Typed<"bool"> {
    if (this.#item !== null) throw fault(body, `${name} within exists or all is not in this subset of CEL`);
    if (variable.op !== "id") throw fault(variable, `the first argument of ${name} is a name for the item`);
    if (this.#names.variables.includes(variable.args)) throw fault(variable, `${quote(variable.args)} is taken`);
    this.#item = { name: variable.args, values: list.values };
    const test = this.#as("bool", body);
    this.#item = null;
    return quantified(name, list, test);
  }

  /** Refuses a literal that the other side can never be. */
  #checkWords({ values }: Words, node: ASTNode): void {
    if (values === null || node.op !== "value" || typeof node.args !== "string") return;
    if (!values.includes(node.args))
      throw fault(node, `${quote(node.args)} is never it`, didYouMean(node.args, values));
  }
}

function fault(node: ASTNode, message: string, suggestion = ""): ExpressionFault {
  return new ExpressionFault(message, suggestion, node.pos);
}

const INSTEAD: Readonly<Record<string, string>> = {
  has: "What is missing makes the condition unknown, without asking",
  matches: "Use startsWith, endsWith or contains, or a pattern of vocabulary.yaml in the action",
  getHours: "Use a window",
  getDayOfWeek: "Use a window",
};

function unknownFunction(name: string, node: ASTNode): ExpressionFault {
  const message = `there is no ${quote(name)} with these arguments in this subset of CEL`;
  const instead = Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
  return fault(node, message, instead ?? (FUNCTIONS.includes(name) ? "" : didYouMean(name, FUNCTIONS)));
}

function isOf<TType extends Expression["type"]>(expression: Expression, type: TType): expression is Typed<TType> {
  return expression.type === type;
}

function isNumeric(expression: Expression): expression is Typed<"int"> | Typed<"timestamp"> | Typed<"duration"> {
  return expression.type === "int" || expression.type === "timestamp" || expression.type === "duration";
}

function literal(value: unknown, node: ASTNode): Expression {
  if (typeof value === "string") return { type: "string", values: null, evaluate: () => value };
  if (typeof value === "boolean") return { type: "bool", evaluate: () => value };
  const number = typeof value === "bigint" ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw fault(node, "this is neither a string nor a bool nor a whole number");
  return { type: "int", evaluate: () => number };
}

function listOf(nodes: readonly ASTNode[]): Typed<"list"> {
  const values: string[] = [];
  for (const node of nodes) {
    if (node.op !== "value" || typeof node.args !== "string") throw fault(node, "lists are written with strings");
    values.push(node.args);
  }
  return { type: "list", values: null, evaluate: () => values };
}

/** The names of `target.labels.env` and of `target.labels["cost-center"]`. */
function pathOf(node: ASTNode): readonly string[] {
  if (node.op === "id") return [node.args];
  if (node.op === ".") return [...pathOf(node.args[0]), node.args[1]];
  if (node.op === "[]" && node.args[1].op === "value" && typeof node.args[1].args === "string") {
    return [...pathOf(node.args[0]), node.args[1].args];
  }
  throw fault(node, "this has no fields", "Lists are looked into with in, exists and all");
}

/** Where a path begins. */
function rootOf(node: ASTNode): ASTNode {
  return node.op === "." || node.op === "[]" ? rootOf(node.args[0]) : node;
}

function sizeOf(list: Typed<"list">): Typed<"int"> {
  return { type: "int", evaluate: (scope) => list.evaluate(scope)?.length ?? null };
}
