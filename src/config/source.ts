/** Reads YAML into plain values and remembers where each one stood. Duplicate keys, anchors, aliases and tags are errors. */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Node, Pair } from "yaml";
import type { Problem, ProblemCode } from "./problem.ts";

export type Path = readonly (string | number)[];

/** Objects have no prototype, so that no key of theirs can be mistaken for an inherited one. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

/** A document that was read; `value` is null when it is empty or could not be read. */
export type Source = {
  readonly value: Value;
  readonly problems: readonly Problem[];
  /** A problem at the key of a path, or at its nearest ancestor that stands in the file. */
  at(severity: Problem["severity"], code: ProblemCode, where: "key" | "value", path: Path, message: string): Problem;
};

const TEXT_CHARS_MAX = 1_048_576;
const NESTING_MAX = 32;

/** Keys that JavaScript objects treat as their own; refused, so that no library drops them silently. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "prototype", "constructor"]);

/** Reads one document; `file` is the name that problems carry. */
export function readSource(text: string, file: string): Source {
  const reader = new Reader(file);
  const value = reader.read(text);
  return { value, problems: reader.problems, at: (...args) => reader.at(...args) };
}

/** A map without a prototype. */
export function emptyMap(): { [key: string]: Value } {
  return { __proto__: null };
}

type Place = { key: number; value: number };

class Reader {
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #places = new Map<string, Place>();

  constructor(file: string) {
    this.#file = file;
  }

  read(text: string): Value {
    if (text.length > TEXT_CHARS_MAX) {
      this.#problem("SYNTAX", 0, `is larger than ${TEXT_CHARS_MAX} characters`);
      return null;
    }
    const document = parseDocument(text, {
      lineCounter: this.#lines,
      version: "1.2",
      schema: "core",
      merge: false,
      uniqueKeys: true,
      strict: true,
      prettyErrors: false,
    });
    for (const error of document.errors) {
      const message =
        error.code === "DUPLICATE_KEY" ? "this key stands here twice; keep one of the two" : error.message;
      this.#problem("SYNTAX", error.pos[0], message);
    }
    for (const warning of document.warnings) this.#problem("SYNTAX", warning.pos[0], warning.message);
    if (this.problems.length > 0 || document.contents === null) return null;
    return this.#convert(document.contents, [], 0);
  }

  at(severity: Problem["severity"], code: ProblemCode, where: "key" | "value", path: Path, message: string): Problem {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(JSON.stringify(path.slice(0, length)));
      // An ancestor stands for something that is not written: its key is the place to look.
      if (place !== undefined) {
        return this.#make(severity, code, length < path.length ? place.key : place[where], message);
      }
    }
    return this.#make(severity, code, 0, message);
  }

  #convert(node: Node, path: Path, startOffset: number): Value {
    const offset = node.range?.[0] ?? startOffset;
    if (path.length > NESTING_MAX) return this.#refuse(offset, `is nested deeper than ${NESTING_MAX} levels`);
    if (isAlias(node)) return this.#refuse(offset, "aliases are not allowed; write the value out");
    if ("anchor" in node && node.anchor !== undefined) {
      return this.#refuse(offset, "anchors are not allowed; write the value out");
    }
    if (node.tag !== undefined) {
      return this.#refuse(offset, `tags such as ${node.tag} are not allowed; quote the value to make it text`);
    }
    if (isScalar(node)) return this.#scalar(node.value, offset);
    if (isSeq(node)) return node.items.map((item, index) => this.#item(item, [...path, index], offset));
    if (isMap(node)) {
      const result = emptyMap();
      for (const pair of node.items) this.#pair(pair, path, offset, result);
      return result;
    }
    return this.#refuse(offset, "is not a value, a list or a map");
  }

  #item(item: unknown, path: Path, offset: number): Value {
    if (!isNode(item)) return this.#refuse(offset, "holds an item that is not a value");
    const start = item.range?.[0] ?? offset;
    this.#places.set(JSON.stringify(path), { key: start, value: start });
    return this.#convert(item, path, offset);
  }

  #pair(pair: Pair, path: Path, offset: number, into: { [key: string]: Value }): void {
    const key = pair.key;
    const keyOffset = isNode(key) ? (key.range?.[0] ?? offset) : offset;
    if (!isScalar(key) || (typeof key.value !== "string" && typeof key.value !== "number")) {
      this.#refuse(keyOffset, "a key must be plain text");
      return;
    }
    if (key.anchor !== undefined) this.#refuse(keyOffset, "anchors are not allowed");
    if (key.tag !== undefined) this.#refuse(keyOffset, "tags are not allowed on keys");
    // `1` and `"1"` are two keys to YAML and one to us.
    const name = String(key.value);
    if (FORBIDDEN_KEYS.has(name) || name === "<<") {
      this.#refuse(keyOffset, `"${name}" cannot be a key`);
      return;
    }
    if (name in into) this.#refuse(keyOffset, `the key "${name}" stands here twice; keep one of the two`);
    const childPath = [...path, name];
    const value = pair.value;
    this.#places.set(JSON.stringify(childPath), {
      key: keyOffset,
      value: isNode(value) ? (value.range?.[0] ?? keyOffset) : keyOffset,
    });
    into[name] = isNode(value) ? this.#convert(value, childPath, keyOffset) : null;
  }

  #scalar(value: unknown, offset: number): Value {
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return this.#refuse(offset, "is not text, a number, true, false or empty");
  }

  #refuse(offset: number, message: string): null {
    this.#problem("SYNTAX", offset, message);
    return null;
  }

  #problem(code: ProblemCode, offset: number, message: string): void {
    this.problems.push(this.#make("error", code, offset, message));
  }

  #make(severity: Problem["severity"], code: ProblemCode, offset: number, message: string): Problem {
    const { line, col } = this.#lines.linePos(offset);
    return { severity, code, file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1), message };
  }
}
