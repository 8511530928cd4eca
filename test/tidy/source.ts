/** Reads one TypeScript file with a real parser: what it imports in whatever way, its regular expressions, its marked tests, its comments. */
import { parseSync } from "oxc-parser";

export type Import = {
  /** As written: a relative path, a package, a URL; null when it is computed and nobody can know. */
  readonly specifier: string | null;
  readonly line: number;
};

export type Comment = { readonly text: string; readonly line: number; readonly lineEnd: number };

export type Source = {
  /** Every way to name another module: static, type-only, `import("...")` as value and as type, require, Worker, URL, re-export, reference. */
  readonly imports: readonly Import[];
  /** Lines with a regular expression: a literal, the constructor, or a string that a method would turn into one. */
  readonly regexLines: readonly number[];
  /** `test.skip(...)` and the like: which, and where. */
  readonly marks: readonly { readonly mark: string; readonly line: number }[];
  readonly comments: readonly Comment[];
  /** What the parser could not read. */
  readonly errors: readonly string[];
};

type Node = { readonly type: string; readonly start: number } & Readonly<Record<string, unknown>>;

const MARKS = new Set(["only", "skip", "todo", "skipIf", "todoIf", "if"]);
const RUNNERS = new Set(["test", "it", "describe"]);

/** Reads a file; `path` tells the dialect and is named in errors. */
export function readSource(path: string, text: string): Source {
  const parsed = parseSync(path, text);
  const lineOf = lineFinder(text);
  const imports: Import[] = [];
  const regexLines: number[] = [];
  const marks: { mark: string; line: number }[] = [];

  visit(parsed.program, (node) => {
    const line = lineOf(node.start);
    for (const specifier of specifiersOf(node)) {
      // The literal within an import is seen again by itself.
      const isKnown = imports.some((known) => known.specifier === specifier && known.line === line);
      if (!isKnown) imports.push({ specifier, line });
    }
    if (makesRegex(node)) regexLines.push(line);
    const mark = markOf(node);
    if (mark !== null) marks.push({ mark, line });
  });

  const comments = parsed.comments.map((comment) => ({
    text: comment.value,
    line: lineOf(comment.start),
    lineEnd: lineOf(comment.end),
  }));
  for (const comment of comments) {
    const reference = /^\/\s*<reference\s+path="([^"]*)"/u.exec(comment.text);
    if (reference !== null) imports.push({ specifier: reference[1] ?? null, line: comment.line });
  }
  return { imports, regexLines, marks, comments, errors: parsed.errors.map((error) => error.message) };
}

/** The modules that this one node names. */
function specifiersOf(node: Node): readonly (string | null)[] {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration":
    case "TSImportType":
      return isNode(node["source"]) ? [textOf(node["source"])] : [];
    case "ImportExpression":
      return [isNode(node["source"]) ? textOf(node["source"]) : null];
    case "TSExternalModuleReference":
      return [isNode(node["expression"]) ? textOf(node["expression"]) : null];
    case "CallExpression":
      return isRequire(node["callee"]) ? [firstArgument(node)] : [];
    case "NewExpression":
      return isIdentifier(node["callee"], "Worker") ? workerSpecifiers(node) : [];
    // A path to a file of the tree is an import, wherever it stands: whoever resolves it knows whether there is one.
    case "Literal":
    case "TemplateLiteral": {
      const text = textOf(node);
      return text !== null && (text.startsWith("./") || text.startsWith("../")) ? [text] : [];
    }
    default:
      return [];
  }
}

/** `require`, `import.meta.require`, `require.resolve` and the like. */
function isRequire(callee: unknown): boolean {
  if (isIdentifier(callee, "require")) return true;
  if (!isNode(callee) || callee.type !== "MemberExpression") return false;
  const { object, property } = callee;
  if (isIdentifier(object, "require")) return isIdentifier(property, "resolve");
  const ofModule = isNode(object) && object.type === "MetaProperty";
  return ofModule && ["require", "resolve", "resolveSync"].some((name) => isIdentifier(property, name));
}

/** `new Worker(new URL("./x.ts", import.meta.url))` holds a literal that is visited by itself; a computed one is unknown. */
function workerSpecifiers(node: Node): readonly (string | null)[] {
  const first = argumentsOf(node)[0];
  if (first?.type === "NewExpression" && isIdentifier(first["callee"], "URL")) return [firstArgument(first)];
  return [firstArgument(node)];
}

function makesRegex(node: Node): boolean {
  if (node.type === "Literal") return typeof node["regex"] === "object" && node["regex"] !== null;
  if (node.type === "Identifier") return node["name"] === "RegExp";
  if (node.type !== "CallExpression") return false;
  const callee = node["callee"];
  if (!isNode(callee) || callee.type !== "MemberExpression") return false;
  const turnsStringsIntoOne = ["match", "matchAll", "search"].some((name) => isIdentifier(callee["property"], name));
  return turnsStringsIntoOne && firstArgument(node) !== null;
}

function markOf(node: Node): string | null {
  if (node.type !== "MemberExpression") return null;
  const { object, property } = node;
  if (!isNode(property) || property.type !== "Identifier" || !MARKS.has(String(property["name"]))) return null;
  // test.only, test.concurrent.only, describe.skip.each
  let root: unknown = object;
  while (isNode(root) && root.type === "MemberExpression") root = root["object"];
  return isNode(root) && root.type === "Identifier" && RUNNERS.has(String(root["name"]))
    ? String(property["name"])
    : null;
}

function firstArgument(node: Node): string | null {
  const first = argumentsOf(node)[0];
  return first === undefined ? null : textOf(first);
}

function argumentsOf(node: Node): readonly Node[] {
  const list = node["arguments"];
  return Array.isArray(list) ? list.filter(isNode) : [];
}

/** The value of a string literal or of a template without parts; null for anything else. */
function textOf(node: Node): string | null {
  if (node.type === "Literal") return typeof node["value"] === "string" ? node["value"] : null;
  if (node.type !== "TemplateLiteral" || !Array.isArray(node["quasis"]) || node["quasis"].length !== 1) return null;
  const quasi: unknown = node["quasis"][0];
  if (!isNode(quasi) || typeof quasi["value"] !== "object" || quasi["value"] === null) return null;
  const { value } = quasi;
  return "cooked" in value && typeof value.cooked === "string" ? value.cooked : null;
}

function isIdentifier(value: unknown, name: string): boolean {
  return isNode(value) && value.type === "Identifier" && value["name"] === name;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function visit(value: unknown, see: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, see);
    return;
  }
  if (!isNode(value)) return;
  see(value);
  for (const child of Object.values(value)) {
    if (typeof child === "object" && child !== null) visit(child, see);
  }
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
}
