/** One YAML document as plain values, with the line and column of everything in it; what YAML hides is refused. */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Node } from "yaml";
import type { Problem, ProblemCode } from "./problems.ts";

/** Maps have no prototype, so that no key of theirs can be mistaken for an inherited one. */
export type Value = string | number | boolean | null | Value[] | ValueMap;
export type ValueMap = { [key: string]: Value };

export type Path = readonly (string | number)[];

/** Deeper than any rule needs; keeps the walk below far from the end of the stack. */
const NESTING_MAX = 24;
const PROBLEMS_MAX = 100;
/** Libraries that copy objects drop or misread these, which would silently ignore what an author wrote. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  "prototype",
  "<<",
]);

/** A document that was read. Its value is null when there were errors. */
export class Source {
  readonly file: string;
  readonly value: Value;
  readonly problems: Problem[] = [];
  readonly #lines = new LineCounter();
  readonly #root: Node | null;

  /** Reads `bytes` of a file whose name in messages is `file`. Never throws. */
  constructor(file: string, bytes: Uint8Array) {
    this.file = file;
    this.#root = this.#parse(bytes);
    const value = this.#root === null ? null : this.#convert(this.#root, 0);
    this.value = this.problems.length > 0 ? null : value;
  }

  /** An error or warning at the key of a path, at its value, or at the nearest thing above it that is written. */
  problem(
    code: ProblemCode,
    path: Path,
    message: string,
    more: { suggestion?: string; at?: "key" | "value"; severity?: Problem["severity"] } = {},
  ): Problem {
    return this.#make(
      code,
      this.#offsetOf(path, more.at ?? "value"),
      message,
      more.suggestion ?? "",
      more.severity ?? "error",
    );
  }

  /** The line on which what is at a path begins. */
  lineOf(path: Path): number {
    return Math.max(this.#lines.linePos(this.#offsetOf(path, "value")).line, 1);
  }

  /** True when an empty map is written at the path: one that was not emptied by leaving out what does not belong. */
  isEmptyMap(path: Path): boolean {
    let node: unknown = this.#root;
    for (const step of path) {
      if (isSeq(node) && typeof step === "number") node = node.items[step];
      else if (isMap(node)) node = node.items.find((item) => isScalar(item.key) && item.key.value === step)?.value;
      else return false;
    }
    return isMap(node) && node.items.length === 0;
  }

  #parse(bytes: Uint8Array): Node | null {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      this.#refuse("SYNTAX", 0, "the file is not UTF-8");
      return null;
    }
    const control = controlCharacterAt(text);
    if (control !== -1) {
      this.#addLines(text);
      this.#refuse("SYNTAX", control, "the file holds a control character");
      return null;
    }
    // uniqueKeys is off because it compares every key with every other one; #convert finds duplicates itself.
    const document = parseDocument(text, {
      lineCounter: this.#lines,
      version: "1.2",
      schema: "core",
      merge: false,
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
      logLevel: "silent",
    });
    for (const error of [...document.errors, ...document.warnings].slice(0, PROBLEMS_MAX)) {
      const message =
        error.code === "MULTIPLE_DOCS" ? "a file holds one document; split it into several files" : error.message;
      this.#refuse("SYNTAX", error.pos[0], firstLine(message));
    }
    if (document.directives.yaml.explicit === true)
      this.#refuse("SYNTAX", 0, "directives such as %YAML are not allowed");
    if (this.problems.length > 0) return null;
    if (document.contents === null) this.#refuse("SYNTAX", 0, "the file is empty");
    return document.contents;
  }

  #addLines(text: string): void {
    this.#lines.addNewLine(0);
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#lines.addNewLine(at + 1);
  }

  #convert(node: Node, depth: number): Value {
    const offset = node.range?.[0] ?? 0;
    if (this.problems.length >= PROBLEMS_MAX) return null;
    if (depth > NESTING_MAX)
      return this.#refuse("TOO_LARGE", offset, `values are nested deeper than ${NESTING_MAX} levels`);
    if (isAlias(node))
      return this.#refuse(
        "SYNTAX",
        offset,
        "aliases are not allowed",
        "Write the value out, or name a set in vocabulary.yaml",
      );
    this.#refuseProperties(node, offset);
    if (isScalar(node)) return this.#scalar(node.value, offset);
    if (isSeq(node)) return node.items.map((item) => (isNode(item) ? this.#convert(item, depth + 1) : null));
    if (!isMap(node)) return this.#refuse("SYNTAX", offset, "this is neither a value nor a list nor a map");
    const map: ValueMap = { __proto__: null };
    for (const pair of node.items) {
      const key = this.#key(pair.key, offset);
      if (key === null) continue;
      if (Object.hasOwn(map, key)) {
        const at = isNode(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
        this.#refuse("DUPLICATE_KEY", at, `the key "${key}" stands here twice`, "Keep one of the two");
        continue;
      }
      map[key] = isNode(pair.value) ? this.#convert(pair.value, depth + 1) : null;
    }
    return map;
  }

  #key(key: unknown, parentOffset: number): string | null {
    if (!isNode(key)) return this.#refuse("SYNTAX", parentOffset, "a key is missing");
    const offset = key.range?.[0] ?? parentOffset;
    if (!isScalar(key) || typeof key.value !== "string")
      return this.#refuse("SYNTAX", offset, "a key must be text", "Quote it");
    this.#refuseProperties(key, offset);
    if (FORBIDDEN_KEYS.has(key.value)) return this.#refuse("UNKNOWN_KEY", offset, `"${key.value}" cannot be a key`);
    return key.value;
  }

  #refuseProperties(node: Node, offset: number): void {
    if ("anchor" in node && node.anchor !== undefined) {
      this.#refuse(
        "SYNTAX",
        offset,
        "anchors are not allowed",
        "Write the value out, or name a set in vocabulary.yaml",
      );
    }
    if (node.tag !== undefined)
      this.#refuse("SYNTAX", offset, "tags are not allowed", "Quote the value to make it text");
  }

  #scalar(value: unknown, offset: number): Value {
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return this.#refuse("WRONG_TYPE", offset, "this is not text, a number, true or false", "Quote it to make it text");
  }

  #offsetOf(path: Path, where: "key" | "value"): number {
    let node: unknown = this.#root;
    let offset = this.#root?.range?.[0] ?? 0;
    for (const [index, step] of path.entries()) {
      if (isSeq(node) && typeof step === "number") {
        node = node.items[step];
        if (!isNode(node)) return offset;
        offset = node.range?.[0] ?? offset;
      } else if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
        if (pair === undefined || !isNode(pair.key)) return offset;
        offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
        const isLast = index === path.length - 1;
        if (isLast && where === "value" && isNode(node)) offset = node.range?.[0] ?? offset;
      } else {
        return offset;
      }
    }
    return offset;
  }

  #refuse(code: ProblemCode, offset: number, message: string, suggestion = ""): null {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(this.#make(code, offset, message, suggestion, "error"));
    return null;
  }

  #make(
    code: ProblemCode,
    offset: number,
    message: string,
    suggestion: string,
    severity: Problem["severity"],
  ): Problem {
    const { line, col } = this.#lines.linePos(offset);
    return { severity, file: this.file, line: Math.max(line, 1), column: Math.max(col, 1), code, message, suggestion };
  }
}

/** The first control character that is neither a line end nor a tab, or -1. */
function controlCharacterAt(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x20 && unit < 0x7f) continue;
    if (unit === 0x09 || unit === 0x0a || unit === 0x0d || unit > 0x9f) continue;
    return at;
  }
  return -1;
}

function firstLine(text: string): string {
  const end = text.indexOf("\n");
  return end === -1 ? text : text.slice(0, end);
}
