/** Reads all of YAML with the library, and refuses what hides something: anchors, aliases, tags, several documents. */
import { isAlias, isMap, isNode, isScalar, isSeq, parseDocument } from "yaml";
import type { Node, Scalar } from "yaml";
import type { ProblemCode } from "../problems.ts";
import type { YamlEntry, YamlNode } from "./yaml-node.ts";

/** Deeper than any rule needs; keeps the walk below far from the end of the stack. */
const NESTING_MAX = 24;
const FAULTS_MAX = 100;
const WRITE_IT_OUT = "Write the value out, or name a set in vocabulary.yaml";

/** What is wrong, at an offset of the text. */
export type YamlFault = {
  readonly code: ProblemCode;
  readonly offset: number;
  readonly message: string;
  readonly suggestion: string;
};

/** A document, what is wrong with it, or null when it is empty. Never throws. */
export function readYaml(text: string): YamlNode | readonly YamlFault[] | null {
  const reader = new LibraryReader();
  const node = reader.read(text);
  return reader.faults.length > 0 ? reader.faults : node;
}

class LibraryReader {
  readonly faults: YamlFault[] = [];

  read(text: string): YamlNode | null {
    // uniqueKeys is off because it compares every key with every other one; whoever walks the maps finds duplicates.
    const document = parseDocument(text, {
      version: "1.2",
      schema: "core",
      merge: false,
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
      // Where it is silent, the library drops every document after the first without a word.
      logLevel: "error",
    });
    for (const error of [...document.errors, ...document.warnings].slice(0, FAULTS_MAX)) {
      const message =
        error.code === "MULTIPLE_DOCS" ? "a file holds one document; split it into several files" : error.message;
      this.#refuse("SYNTAX", error.pos[0], firstLine(message));
    }
    if (document.directives.yaml.explicit === true)
      this.#refuse("SYNTAX", 0, "directives such as %YAML are not allowed");
    if (this.faults.length > 0) return null;
    return document.contents === null ? null : this.#convert(document.contents, 0);
  }

  /** Null after an error. */
  #convert(node: Node, depth: number): YamlNode | null {
    const start = node.range?.[0] ?? 0;
    if (this.faults.length >= FAULTS_MAX) return null;
    if (depth > NESTING_MAX)
      return this.#refuse("TOO_LARGE", start, `values are nested deeper than ${NESTING_MAX} levels`);
    if (isAlias(node)) return this.#refuse("SYNTAX", start, "aliases are not allowed", WRITE_IT_OUT);
    this.#refuseProperties(node, start);
    if (isScalar(node)) return this.#scalar(node, start);
    if (isSeq(node)) {
      const items = node.items.map((item) => (isNode(item) ? this.#convert(item, depth + 1) : null));
      return { kind: "list", start, items: items.filter((item) => item !== null) };
    }
    if (!isMap(node)) return this.#refuse("SYNTAX", start, "this is neither a value nor a list nor a map");
    const entries: YamlEntry[] = [];
    for (const { key, value } of node.items) {
      const named = this.#key(key, start);
      if (named === null) continue;
      const blank = { kind: "scalar", start: named.end, end: named.end, value: null, isBlank: true } as const;
      const converted = isNode(value) ? this.#convert(value, depth + 1) : blank;
      if (converted !== null) entries.push({ key: named.text, keyStart: named.start, value: converted });
    }
    return { kind: "map", start, entries };
  }

  #key(key: unknown, parentStart: number): { text: string; start: number; end: number } | null {
    if (!isNode(key)) return this.#refuse("SYNTAX", parentStart, "a key is missing");
    const [start, end] = key.range ?? [parentStart, parentStart];
    if (!isScalar(key) || typeof key.value !== "string")
      return this.#refuse("SYNTAX", start, "a key must be text", "Quote it");
    this.#refuseProperties(key, start);
    return { text: key.value, start, end };
  }

  #refuseProperties(node: Node, start: number): void {
    if ("anchor" in node && node.anchor !== undefined)
      this.#refuse("SYNTAX", start, "anchors are not allowed", WRITE_IT_OUT);
    if (node.tag !== undefined)
      this.#refuse("SYNTAX", start, "tags are not allowed", "Quote the value to make it text");
  }

  #scalar({ value, range, source }: Scalar, start: number): YamlNode | null {
    const isValue = value === null || typeof value === "string" || typeof value === "boolean";
    if (!isValue && !(typeof value === "number" && Number.isFinite(value))) {
      const message = "this is not text, a number, true or false";
      return this.#refuse("WRONG_TYPE", start, message, "Quote it to make it text");
    }
    const isBlank = value === null && (source ?? "") === "";
    return { kind: "scalar", start, end: range?.[1] ?? start, value, isBlank };
  }

  #refuse(code: ProblemCode, offset: number, message: string, suggestion = ""): null {
    if (this.faults.length < FAULTS_MAX) this.faults.push({ code, offset, message, suggestion });
    return null;
  }
}

function firstLine(message: string): string {
  const end = message.indexOf("\n");
  return end === -1 ? message : message.slice(0, end);
}
