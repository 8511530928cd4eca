/**
 * Regular expressions of authors, matched in linear time (RE2 syntax: neither look-around nor back-references). A
 * pattern matches a whole text; under `contains` and as a mask it is searched for within one.
 */
import { RE2JS, RE2JSException } from "re2js";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

const PATTERN_CHARS_MAX = 500;
const GROUPS_DEPTH_MAX = 50;
/** Of the library's instructions, once counted repetitions are written out. */
const PROGRAM_MAX = 1000;
/** Looked at before the library writes repetitions out; generous, because it counts what the library would join. */
const ESTIMATE_MAX = 10 * PROGRAM_MAX;
const SAMPLES_MAX = 50;
/** Patterns in a set: each may keep some megabytes of what it has learned of texts. */
export const PATTERNS_MAX = 100;

const INPUT_CHARS_MAX = 65_536;
/** Characters times instructions: at worst about 45 ns each, so a fifth of a second. */
const INPUT_COST_MAX = 4_000_000;

/** As an author writes it. Samples are required: a pattern that nobody has seen match is a guess. */
export type WrittenPattern = {
  readonly pattern: string;
  /** Texts that it must match as a whole. */
  readonly match: readonly string[];
  /** Texts that it must not match; where it is searched for, it must not be found in them either. */
  readonly noMatch: readonly string[];
};

/** What is wrong with a pattern; the path is within what is written of it. */
export type PatternProblem = { readonly problem: string; readonly suggestion: string; readonly path: Path };

/** The text is longer than the pattern may be tried on: whether it matches is not known. */
export class PatternInputTooLong extends Error {
  readonly code = "PATTERN_INPUT_TOO_LONG";

  constructor(name: string, lengthMax: number) {
    super(`the text is longer than the ${lengthMax} characters that the pattern ${name} is tried on`);
    this.name = "PatternInputTooLong";
  }
}

export class Pattern {
  readonly name: string;
  readonly text: string;
  /** Longer texts (in UTF-16 units) are not looked at. */
  readonly inputCharsMax: number;
  /** A `noMatch` sample in which it is found: then it must not be used where it is searched for. */
  readonly foundInSample: string | null;
  readonly #compiled: RE2JS;

  constructor(name: string, text: string, compiled: RE2JS, noMatch: readonly string[]) {
    this.name = name;
    this.text = text;
    this.#compiled = compiled;
    this.inputCharsMax = Math.min(INPUT_CHARS_MAX, Math.floor(INPUT_COST_MAX / compiled.programSize()));
    this.foundInSample = noMatch.find((sample) => sample.length <= this.inputCharsMax && this.findsIn(sample)) ?? null;
  }

  /** Throws PatternInputTooLong. */
  matchesWhole(text: string): boolean {
    this.#checkLength(text);
    return this.#compiled.testExact(text);
  }

  /** Throws PatternInputTooLong. */
  findsIn(text: string): boolean {
    this.#checkLength(text);
    return this.#compiled.test(text);
  }

  #checkLength(text: string): void {
    if (text.length > this.inputCharsMax) throw new PatternInputTooLong(this.name, this.inputCharsMax);
  }
}

/** A pattern whose samples hold, or what is wrong with it. */
export function compilePattern(name: string, written: WrittenPattern): Pattern | PatternProblem {
  const hostile = checkSize(written.pattern);
  if (hostile !== null) return { ...hostile, path: ["pattern"] };
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(written.pattern);
  } catch (error) {
    return { ...explain(error), path: ["pattern"] };
  }
  if (compiled.programSize() > PROGRAM_MAX) return { ...TOO_LARGE, path: ["pattern"] };
  const pattern = new Pattern(name, written.pattern, compiled, written.noMatch);
  return checkSamples(pattern, written) ?? pattern;
}

function checkSamples(pattern: Pattern, written: WrittenPattern): PatternProblem | null {
  for (const key of ["match", "noMatch"] as const) {
    const samples = written[key];
    if (samples.length === 0) {
      const suggestion = `Give a text that it must ${key === "match" ? "" : "not "}match`;
      return { problem: `${key} has no sample`, suggestion, path: [key] };
    }
    if (samples.length > SAMPLES_MAX) {
      return { problem: `${key} has more than ${SAMPLES_MAX} samples`, suggestion: "", path: [key] };
    }
    for (const [index, sample] of samples.entries()) {
      const path = [key, index];
      if (sample.length > pattern.inputCharsMax) {
        const suggestion = `The pattern is tried on at most ${pattern.inputCharsMax} characters`;
        return { problem: "the sample is too long", suggestion, path };
      }
      if (pattern.matchesWhole(sample) === (key === "match")) continue;
      const isPart = key === "match" && pattern.findsIn(sample);
      const suggestion = isPart ? "A sample is matched as a whole, and only a part of it matches" : "";
      const problem = `the pattern ${key === "match" ? "does not match" : "matches"} ${quote(sample)}`;
      return { problem, suggestion, path };
    }
  }
  return null;
}

type Wrong = Omit<PatternProblem, "path">;

const TOO_LARGE: Wrong = {
  problem: "the pattern is too large once its repetitions are written out",
  suggestion: "Repeat less often, or split it into several patterns",
};

function explain(error: unknown): Wrong {
  if (!(error instanceof RE2JSException)) throw error;
  const isPerl = ["Perl", "escape", "named capture"].some((word) => error.message.includes(word));
  return {
    problem: `the pattern cannot be read: ${error.message.replace("error parsing regexp: ", "")}`,
    suggestion: isPerl ? "The syntax is RE2's: it has neither look-around nor back-references" : "",
  };
}

/** Refuses what would cost much time or memory merely to compile; null when the library may have it. */
function checkSize(text: string): Wrong | null {
  if (text.length > PATTERN_CHARS_MAX) {
    return { problem: `the pattern is longer than ${PATTERN_CHARS_MAX} characters`, suggestion: TOO_LARGE.suggestion };
  }
  const size = new SizeEstimate(text).size;
  if (size === null) return { problem: `groups are nested deeper than ${GROUPS_DEPTH_MAX} levels`, suggestion: "" };
  return size > ESTIMATE_MAX ? TOO_LARGE : null;
}

/** How large a pattern becomes when its counted repetitions are written out: one for each thing that is repeated. */
class SizeEstimate {
  /** Null when groups are nested too deep. */
  readonly size: number | null;
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.size = this.#estimate();
  }

  #estimate(): number | null {
    /** The sizes of the groups that are open, the whole pattern first; and of what stands last in the innermost. */
    const open: number[] = [0];
    let last = 0;
    while (this.#at < this.#text.length) {
      const repeats = this.#repetition();
      const top = open.length - 1;
      if (repeats !== null) {
        open[top] = (open[top] ?? 0) - last + last * repeats;
        continue;
      }
      const character = this.#text[this.#at];
      if (character === "(") {
        if (open.length > GROUPS_DEPTH_MAX) return null;
        open.push(1);
        this.#at++;
      } else if (character === ")" && top > 0) {
        last = (open.pop() ?? 0) + 1;
        open[top - 1] = (open[top - 1] ?? 0) + last;
        this.#at++;
      } else {
        this.#skipAtom();
        last = 1;
        open[top] = (open[top] ?? 0) + last;
      }
    }
    return open[0] ?? 0;
  }

  /** How often `{3}`, `{2,5}` or `{2,}` here repeats what stands before it; null when there is none of these here. */
  #repetition(): number | null {
    if (this.#text[this.#at] !== "{") return null;
    const end = this.#text.indexOf("}", this.#at);
    if (end === -1) return null;
    const [least = "", most = least] = this.#text.slice(this.#at + 1, end).split(",");
    if (!isDigits(least) || (most !== "" && !isDigits(most))) return null;
    this.#at = end + 1;
    return Math.max(Number(most === "" ? least : most), 1);
  }

  /** Moves behind one character, escape or class. */
  #skipAtom(): void {
    const text = this.#text;
    if (text[this.#at] === "\\") {
      this.#skipEscape();
    } else if (text[this.#at] === "[") {
      this.#at++;
      if (text[this.#at] === "^") this.#at++;
      if (text[this.#at] === "]") this.#at++;
      while (this.#at < text.length && text[this.#at] !== "]") {
        const named = text.startsWith("[:", this.#at) ? text.indexOf(":]", this.#at + 2) : -1;
        if (named !== -1) this.#at = named + 2;
        else if (text[this.#at] === "\\") this.#skipEscape();
        else this.#at++;
      }
      this.#at++;
    } else {
      this.#at++;
    }
  }

  /** `\d`, and those with braces: `\p{Greek}`, `\x{1F600}`. */
  #skipEscape(): void {
    const text = this.#text;
    const hasBraces = "pPx".includes(text[this.#at + 1] ?? "-") && text[this.#at + 2] === "{";
    const end = hasBraces ? text.indexOf("}", this.#at) : -1;
    this.#at = end === -1 ? this.#at + 2 : end + 1;
  }
}

function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x30 || unit > 0x39) return false;
  }
  return text !== "";
}
