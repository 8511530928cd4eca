/** Finds conditions that only say what the matchers of a rule could say: those are indexed, checked and explained better. */
import type { ASTNode } from "@marcbachmann/cel-js";

/** The keys of a rule that could say all of a condition, or null when they cannot. */
export function matcherKeys(node: ASTNode): readonly string[] | null {
  switch (node.op) {
    case "&&": {
      const left = matcherKeys(node.args[0]);
      const right = matcherKeys(node.args[1]);
      return left === null || right === null ? null : [...new Set([...left, ...right])];
    }
    case "||": {
      // The values of one key are ORed, keys are not.
      const [left, ...others] = matcherKeys(node.args[0]) ?? [];
      const [right, ...more] = matcherKeys(node.args[1]) ?? [];
      const isOneKey = left !== undefined && left === right && others.length + more.length === 0;
      return isOneKey && !left.startsWith("valid") ? [left] : null;
    }
    case "==":
      return keyOf(textKey(node.args[0]), node.args[1]) ?? keyOf(textKey(node.args[1]), node.args[0]);
    case "in":
      return keyOf(textKey(node.args[0]), node.args[1]) ?? keyOf(groupsKey(node.args[1]), node.args[0]);
    case "<":
      return isNow(node.args[0]) && isTimestamp(node.args[1]) ? ["validUntil"] : null;
    case ">=":
      return isNow(node.args[0]) && isTimestamp(node.args[1]) ? ["validFrom"] : null;
    default:
      return null;
  }
}

function keyOf(key: string | null, value: ASTNode): readonly string[] | null {
  const isLiteral = value.op === "value" || (value.op === "list" && value.args.every(({ op }) => op === "value"));
  return key !== null && isLiteral ? [key] : null;
}

const KEYS: Readonly<Record<string, string>> = {
  "subject.name": "subject.names",
  "subject.kind": "subject.kinds",
  "subject.owner": "subject.owners",
  "target.name": "target.names",
  "access.class": "action.classes",
};

function textKey(node: ASTNode): string | null {
  const path = fieldsOf(node);
  if (path[0] === "target" && path[1] === "labels") return path.join(".");
  const text = path.join(".");
  return Object.hasOwn(KEYS, text) ? (KEYS[text] ?? null) : null;
}

function groupsKey(node: ASTNode): string | null {
  return fieldsOf(node).join(".") === "subject.groups" ? "subject.groups" : null;
}

function fieldsOf(node: ASTNode): readonly string[] {
  if (node.op === "id") return [node.args];
  if (node.op === ".") return [...fieldsOf(node.args[0]), node.args[1]];
  if (node.op !== "[]") return [];
  const key = node.args[1].op === "value" ? node.args[1].args : null;
  return typeof key === "string" ? [...fieldsOf(node.args[0]), key] : [];
}

function isNow(node: ASTNode): boolean {
  return node.op === "id" && node.args === "now";
}

function isTimestamp(node: ASTNode): boolean {
  // Nothing else that is written as a call can be compared with the time.
  return node.op === "call";
}
