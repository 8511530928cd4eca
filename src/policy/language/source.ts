/** One YAML document as plain values, with the line and column of everything in it. */
import { readYaml } from "./library-yaml.ts";
import { readPlainYaml } from "./plain-yaml.ts";
import type { Problem, ProblemCode } from "../problems.ts";
import type { YamlNode } from "./yaml-node.ts";

/** Maps have no prototype, so that no key of theirs can be mistaken for an inherited one. */
export type Value = string | number | boolean | null | Value[] | ValueMap;
export type ValueMap = { [key: string]: Value };

export type Path = readonly (string | number)[];

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
  readonly #text: string;
  readonly #root: YamlNode | null;
  /** Where lines begin; found when the first place is asked for. */
  #lineStarts: readonly number[] | null = null;

  /** Reads `bytes` of a file whose name in messages is `file`; `firstLines` is what an empty one lacks. Never throws. */
  constructor(file: string, bytes: Uint8Array, firstLines = "") {
    this.file = file;
    const text = decode(bytes);
    this.#text = text ?? "";
    this.#root = text === null ? this.#refuse("SYNTAX", 0, "the file is not UTF-8") : this.#parse(text, firstLines);
    const value = this.#root === null ? null : this.#valueOf(this.#root);
    this.value = this.problems.length > 0 ? null : value;
  }

  /** An error or warning at the key of a path, at its value, or at the nearest thing above it that is written. */
  problem(
    code: ProblemCode,
    path: Path,
    message: string,
    more: { suggestion?: string; at?: "key" | "value"; severity?: Problem["severity"] } = {},
  ): Problem {
    const offset = this.#offsetOf(path, more.at ?? "value");
    return this.#make(code, offset, message, more.suggestion ?? "", more.severity ?? "error");
  }

  /** Where what is at a path begins; both count from 1. */
  placeOf(path: Path): { readonly line: number; readonly column: number } {
    return this.#place(this.#offsetOf(path, "value"));
  }

  /** True when an empty map is written at the path: one that was not emptied by leaving out what does not belong. */
  isEmptyMap(path: Path): boolean {
    const node = this.#nodeAt(path);
    return node?.kind === "map" && node.entries.length === 0;
  }

  /** True when a key has no value at all, which YAML reads as null. */
  isBlank(path: Path): boolean {
    const node = this.#nodeAt(path);
    return node === null || (node.kind === "scalar" && node.isBlank);
  }

  /** The keys of the map at the path as the file has them, also those that do not belong there. */
  keysAt(path: Path): readonly string[] {
    const node = this.#nodeAt(path);
    return node?.kind === "map" ? node.entries.map(({ key }) => key) : [];
  }

  /**
   * As problem(), at a place within the text at the path (both count from 1). Null where the text is not written as it
   * is read, as in a folded block or with escapes.
   */
  problemWithin(
    code: ProblemCode,
    path: Path,
    place: { readonly line: number; readonly column: number },
    message: string,
    suggestion: string,
  ): Problem | null {
    const node = this.#nodeAt(path);
    if (node?.kind !== "scalar" || typeof node.value !== "string") return null;
    const at = within(this.#text.slice(node.start, node.end), node.value, place);
    return at === null ? null : this.#make(code, node.start + at, message, suggestion, "error");
  }

  #parse(text: string, firstLines: string): YamlNode | null {
    const control = controlCharacterAt(text);
    if (control !== -1) return this.#refuse("SYNTAX", control, "the file holds a control character");
    const plain = readPlainYaml(text);
    if (plain !== null) return plain;
    const read = readYaml(text);
    if (read === null) {
      const suggestion = firstLines === "" ? "" : `It begins with ${firstLines}`;
      return this.#refuse("SYNTAX", 0, "the file is empty", suggestion);
    }
    if ("kind" in read) return read;
    for (const { code, offset, message, suggestion } of read) this.#refuse(code, offset, message, suggestion);
    return null;
  }

  #valueOf(node: YamlNode): Value {
    if (node.kind === "scalar") return node.value;
    if (node.kind === "list") return node.items.map((item) => this.#valueOf(item));
    const map: ValueMap = { __proto__: null };
    for (const { key, keyStart, value } of node.entries) {
      if (FORBIDDEN_KEYS.has(key)) this.#refuse("UNKNOWN_KEY", keyStart, `"${key}" cannot be a key`);
      else if (Object.hasOwn(map, key))
        this.#refuse("DUPLICATE_KEY", keyStart, `the key "${key}" stands here twice`, "Keep one of the two");
      else map[key] = this.#valueOf(value);
    }
    return map;
  }

  #nodeAt(path: Path): YamlNode | null {
    let node: YamlNode | null = this.#root;
    for (const step of path) {
      if (node?.kind === "list" && typeof step === "number") node = node.items[step] ?? null;
      else if (node?.kind === "map") node = node.entries.find(({ key }) => key === step)?.value ?? null;
      else return null;
    }
    return node;
  }

  #offsetOf(path: Path, where: "key" | "value"): number {
    let node = this.#root;
    let offset = node?.start ?? 0;
    for (const [index, step] of path.entries()) {
      if (node?.kind === "list" && typeof step === "number") {
        node = node.items[step] ?? null;
        if (node === null) return offset;
        offset = node.start;
      } else if (node?.kind === "map") {
        const entry = node.entries.find(({ key }) => key === step);
        if (entry === undefined) return offset;
        node = entry.value;
        const isAtValue = index === path.length - 1 && where === "value" && !(node.kind === "scalar" && node.isBlank);
        offset = isAtValue ? node.start : entry.keyStart;
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
    return { severity, file: this.file, ...this.#place(offset), code, message, suggestion };
  }

  #place(offset: number): { line: number; column: number } {
    this.#lineStarts ??= lineStartsOf(this.#text);
    const starts = this.#lineStarts;
    let line = 0;
    for (let beyond = starts.length; beyond - line > 1;) {
      const middle = (line + beyond) >> 1;
      if ((starts[middle] ?? 0) <= offset) line = middle;
      else beyond = middle;
    }
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 };
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function lineStartsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** Where a place within a text is in what is written of it (plain, quoted, or a literal block); null when it cannot be told. */
function within(
  written: string,
  text: string,
  { line, column }: { readonly line: number; readonly column: number },
): number | null {
  const [header = "", ...body] = written.split("\n");
  if (!written.startsWith("|")) {
    const isQuoted = written.startsWith("'") || written.startsWith('"');
    const isAsRead = (isQuoted ? written.slice(1, -1) : written) === text;
    return isAsRead && line === 1 ? column - 1 + (isQuoted ? 1 : 0) : null;
  }
  const lines = text.split("\n");
  const target = body[line - 1];
  const indent = (target?.length ?? 0) - (lines[line - 1]?.length ?? 0);
  if (target === undefined || indent < 0 || target.slice(indent) !== lines[line - 1]) return null;
  let offset = header.length + 1;
  for (const before of body.slice(0, line - 1)) offset += before.length + 1;
  return offset + indent + column - 1;
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
