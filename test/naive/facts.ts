/** The three-valued truth of what a rule says of an access, for the naive engine. */
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access, FactValue, Unknown } from "../../src/core/operation.ts";
import { WORLD } from "../policy-world.ts";
import type { WrittenAction, WrittenBlock } from "../policy-world.ts";
import { globMatches, listed, nameMatches } from "./names.ts";

export type Truth = "true" | "false" | "unknown";
export const and = (...all: Truth[]): Truth =>
  all.includes("false") ? "false" : all.includes("unknown") ? "unknown" : "true";
export const or = (...any: Truth[]): Truth =>
  any.includes("true") ? "true" : any.includes("unknown") ? "unknown" : "false";
export const truth = (value: boolean): Truth => (value ? "true" : "false");

type Fact = FactValue | Unknown | undefined;

/** The truth of one key for a permit (every value) or a guard (any value). */
export function keyTruth(key: string, spec: unknown, access: Access, adapter: string, isPermit: boolean): Truth {
  const fact: Fact = access.facts[key];
  // Of an opaque access, nothing can be ruled out for a guard; what is absent is unknown to a permit.
  const absent: Truth = access.opaque === true ? "unknown" : "false";
  if (fact === undefined) return absent;
  if (fact === UNKNOWN) return "unknown";
  const definition = WORLD.find(({ name }) => name === adapter)?.keys[key];
  const folds = !isPermit && definition?.guardsIgnoreCase === true;
  const fold = (text: string) => (folds ? text.toLowerCase() : text);
  if (typeof spec === "boolean") {
    if (typeof fact !== "boolean") return isPermit ? "false" : "unknown";
    return fact === spec ? "true" : isPermit ? "false" : absent;
  }
  if (typeof fact === "boolean") return isPermit ? "false" : "unknown";
  const holds = (() => {
    switch (definition?.kind) {
      case "argv":
        return argvHolds(spec as (string | string[])[][], fact, isPermit);
      case "fields":
        return fieldsHold(spec as Record<string, string[]>, fact, isPermit);
      case "contains": {
        const parts = spec as string[];
        const isIn = (text: string) => parts.some((part) => fold(text).includes(fold(part)));
        return isPermit ? fact.length > 0 && fact.every(isIn) : fact.some(isIn);
      }
      default: {
        const hidden = definition?.kind === "path" && isPermit && access.class !== "read";
        const stops = definition?.kind === "path" ? "/" : "./";
        const isListed = (name: string) =>
          listed(name, spec as string[], (text, each) =>
            globMatches(fold(text), fold(each), stops, hidden && text.includes("*")),
          );
        const isPath = definition?.kind === "path";
        const names = fact.map((name) =>
          isPath && name.endsWith("/**") ? below(name.slice(0, -2), isPermit ? [] : (spec as string[])) : [name],
        );
        return isPermit
          ? fact.length > 0 && names.every((some) => some.every(isListed))
          : names.some((some) => some.some(isListed));
      }
    }
  })();
  if (holds) return "true";
  return isPermit ? "false" : absent;
}

/** Names below a folder: some at every depth that a list has, and for each text those that end as it does. */
function below(folder: string, texts: readonly string[]): readonly string[] {
  const ends = texts.flatMap((text) => Array.from(text, (_, at) => text.slice(at).replaceAll("*", "x")));
  return ["x", "x/x", "x/x/x", "x/x/x/x", "x.b", ...ends].map((end) => folder + end);
}

function argvHolds(patterns: (string | string[])[][], words: readonly string[], isPermit: boolean): boolean {
  const wordHolds = (spec: string | string[], word: string): boolean => {
    if (Array.isArray(spec)) return spec.some((each) => wordHolds(each, word));
    if (spec.startsWith("*") && word.startsWith("-")) return false;
    return globMatches(spec, word, isPermit ? "/" : "");
  };
  return patterns.some(
    (pattern) =>
      words.length > 0 &&
      pattern.length === words.length &&
      pattern.every((spec, at) => wordHolds(spec, words[at] ?? "")),
  );
}

function fieldsHold(spec: Record<string, string[]>, facts: readonly string[], isPermit: boolean): boolean {
  return Object.entries(spec).every(([name, values]) => {
    const found = facts.filter((fact) => fact.split("=")[0] === name).map((fact) => fact.split("=").slice(1).join("="));
    const isListed = (value: string) => listed(value, values, nameMatches);
    return isPermit ? found.length > 0 && found.every(isListed) : found.some(isListed);
  });
}

export function specsOf(block: WrittenBlock, adapter: string): [string, unknown][] {
  return Object.entries((adapter === "tiny" ? block.tiny : block.other) ?? {});
}

export function isAbout(block: WrittenBlock, adapter: string): boolean {
  const adapters = Object.keys(block).filter((key) => key !== "classes" && key !== "any");
  return adapters.length === 0 || adapters.includes(adapter);
}

export function blocksOf(action: WrittenAction): WrittenBlock[] {
  return Array.isArray(action) ? action : [action];
}

export function blockTruth(block: WrittenBlock, access: Access, adapter: string, isPermit: boolean): Truth {
  if (!isAbout(block, adapter)) return "false";
  if (block.any === true) return "true";
  const specs = specsOf(block, adapter);
  const parts: Truth[] = specs.map(([key, spec]) => keyTruth(key, spec, access, adapter, isPermit));
  if (block.classes !== undefined) {
    const isListed = block.classes.includes(access.class);
    parts.push(isPermit || access.opaque !== true ? truth(isListed) : "unknown");
  }
  // A tool is matched only by a permit that names tools, or that says nothing of the adapter's keys at all.
  const tools = access.facts["tools"];
  const hasTools = tools !== undefined && !(typeof tools === "object" && tools.length === 0);
  if (isPermit && hasTools && specs.length > 0 && !specs.some(([key]) => key === "tools")) parts.push("false");
  return and(...parts);
}

/** The truth of a permit's block: it must also name each key that the access wants named. */
export function permitBlockTruth(block: WrittenBlock, access: Access, adapter: string): Truth {
  const named = new Set(specsOf(block, adapter).map(([key]) => key));
  const namesAll = (access.named ?? []).every((key) => named.has(key));
  return and(blockTruth(block, access, adapter, true), truth(namesAll));
}
