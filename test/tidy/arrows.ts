/** Who may import whom: the arrows of ARCHITECTURE.md as a function from one file to what it may see. */
import { posix } from "node:path";

/** A part of the house, named by its folder: `src/core`, `adapters/postgres`, `test`, `bench`; src/main.ts is itself. */
export type Part = string;

const FOUNDATION: readonly Part[] = ["src/core", "src/wire"];
/** Each of these sees the foundation and itself; the gate gets the others as ports. */
const ROOMS = ["policy", "mask", "identity", "grant", "audit", "record", "dial", "meter", "gate"].map(
  (name) => `src/${name}`,
);
/** These see the words and themselves, and reach the house through ports. */
const PORCHES = ["config", "outpost", "ui", "api"].map((name) => `src/${name}`);
const EVERYTHING = new Set(["src/main.ts", "src/gateway", "src/cli", "src/release"]);

/** The part a file belongs to; null when the layout has no place for it. */
export function partOf(path: string): Part | null {
  const [top, second, third] = path.split("/");
  if (top === "test" || top === "bench") return top;
  if (top !== "src" && top !== "adapters") return null;
  if (second === undefined) return null;
  const part = `${top}/${second}`;
  if (third === undefined) return part === "src/main.ts" || part === "adapters/index.ts" ? part : null;
  if (top === "adapters") return part;
  const known = [...FOUNDATION, ...ROOMS, ...PORCHES].includes(part) || EVERYTHING.has(part);
  return known ? part : null;
}

/** True for code that only tests run: it is not part of the product. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.startsWith("test/");
}

/** Null when `from` may import `to` (both files of the tree), else the rule that it breaks. */
export function arrowBroken(from: string, to: string): string | null {
  const here = partOf(from);
  const there = partOf(to);
  if (here === null) return null;
  if (isTest(to) && !isTest(from) && here !== "bench") return "the product must not import its tests";
  if (here === "test" || here === "bench") return null;
  if (there === null) return null;
  if (there === "test") return isTest(from) ? null : "the product must not import its tests";
  if (there === "bench") return "only benchmarks import benchmarks";
  if (here === there || EVERYTHING.has(here)) return null;
  if (here === "adapters/index.ts") {
    const allowed =
      ["adapter.ts", "settings.ts", "vocabulary.ts"].includes(posix.basename(to)) || FOUNDATION.includes(there);
    return allowed
      ? null
      : "the list of adapters imports each adapter's adapter.ts, settings.ts and vocabulary.ts, and nothing else";
  }
  return sees(here).includes(there) ? null : `${here} may import ${list(sees(here))} and itself`;
}

/** Null when `from` may import packages and the runtime's modules. */
export function packageBroken(from: string): string | null {
  const here = partOf(from);
  if (here === null || isTest(from) || !FOUNDATION.includes(here)) return null;
  return `${here} imports nothing from outside`;
}

function sees(here: Part): readonly Part[] {
  if (FOUNDATION.includes(here)) return [];
  if (PORCHES.includes(here)) return ["src/core"];
  return FOUNDATION;
}

function list(parts: readonly Part[]): string {
  return parts.length === 0 ? "nothing" : parts.join(", ");
}
