/** Leaves of intents, read by their parts: what many of them share (who, what, decided how) is parsed once, then known by its text. */
import { isCanonical, isObject, type Json, type JsonObject, parseJson } from "./canonical.ts";

/** What is known keeps the leaves in memory that it was found in: up to so many UTF-16 units of them. */
const KNOWN_UNITS_MAX = 8_000_000;
/** A whole number of so many digits is exact, and has no other form. */
const DIGITS_MAX = 15;
const ZERO = 0x30;

/** One for each reader of a log. */
export class LeafParts {
  /** Objects by their text. */
  readonly #known = new Map<string, JsonObject>();
  #knownUnits = 0;
  #text = "";
  #at = 0;
  /** Nothing was found so far that weir does not write. */
  #isRight = true;

  /**
   * What JSON.parse() answers for the leaf of an intent or a refusal, if that is canonical JSON with the members that
   * weir writes; null for everything else. Parts of it are those of other leaves too, and not to be changed.
   *
   * A member is what stands before the name of the next one. That it does end there, and that this is not a name inside
   * of it, shows in its being JSON: what is cut short, or goes on behind its end, is none.
   */
  read(text: string): JsonObject | null {
    this.#text = text;
    this.#at = 0;
    this.#isRight = true;
    if (this.#upTo('{"boot":"') !== 0) return null;
    const boot = this.#string('","decision":');
    // An outcome or an event: there are many of them, and they are short.
    if (!this.#isRight) return null;
    const decision = this.#shared('},"event":"');
    const event = this.#string('","id":"');
    const id = this.#string('","index":');
    const index = this.#number(',"operation":');
    const hasOutcome = this.#has('},"outcome":');
    const hasParameters = this.#has(',"parametersSha256":"');
    const next = hasParameters ? '},"parametersSha256":"' : '},"sequence":';
    const operation = this.#shared(hasOutcome ? '},"outcome":' : next);
    const outcome = hasOutcome ? this.#object(next) : undefined;
    const parametersSha256 = hasParameters ? this.#string('","sequence":') : undefined;
    const sequence = this.#number(',"session":');
    const session = this.#shared('},"subject":');
    const subject = this.#shared('},"target":');
    const target = this.#shared('},"textSha256":"');
    const textSha256 = this.#string('","timeMs":');
    const timeMs = this.#number(',"version":');
    const version = this.#number("}");
    if (!this.#isRight || this.#at !== text.length) return null;
    return {
      boot,
      decision,
      event,
      id,
      index,
      operation,
      outcome,
      parametersSha256,
      sequence,
      session,
      subject,
      target,
      textSha256,
      timeMs,
      version,
    };
  }

  /** Does this come before the session? */
  #has(mark: string): boolean {
    const at = this.#text.indexOf(mark, this.#at);
    return at !== -1 && at < this.#text.indexOf(',"session":', this.#at);
  }

  /** Goes on behind a mark; answers where it begins. */
  #upTo(mark: string): number {
    const end = this.#text.indexOf(mark, this.#at);
    if (end === -1) {
      this.#isRight = false;
      return this.#at;
    }
    this.#at = end + mark.length;
    return end;
  }

  /** An object; the mark begins with its end. */
  #object(mark: string): JsonObject {
    const start = this.#at;
    return this.#parse(this.#text.slice(start, this.#upTo(mark) + 1));
  }

  #shared(mark: string): JsonObject {
    const start = this.#at;
    const part = this.#text.slice(start, this.#upTo(mark) + 1);
    const known = this.#known.get(part);
    if (known !== undefined) return known;
    const object = this.#parse(part);
    if (this.#isRight) this.#keep(part, object);
    return object;
  }

  #parse(part: string): JsonObject {
    // After the first thing that is wrong the rest does not matter.
    const json = this.#isRight ? parsed(part) : null;
    if (isObject(json) && isCanonical(json, part, 1)) return json;
    this.#isRight = false;
    return {};
  }

  #keep(part: string, object: JsonObject): void {
    this.#knownUnits += this.#text.length;
    if (this.#knownUnits > KNOWN_UNITS_MAX) {
      this.#known.clear();
      this.#knownUnits = this.#text.length;
    }
    this.#known.set(part, object);
  }

  /** What stands between quotes and needs no escapes; the mark begins with the second of them. */
  #string(mark: string): string {
    const start = this.#at;
    const end = this.#upTo(mark);
    for (let at = start; at < end; at++) {
      const unit = this.#text.charCodeAt(at);
      if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) this.#isRight = false;
    }
    return this.#text.slice(start, end);
  }

  #number(mark: string): number {
    const start = this.#at;
    const end = this.#upTo(mark);
    let number = 0;
    let isWhole = end > start && end - start <= DIGITS_MAX && (this.#digit(start) > 0 || end === start + 1);
    for (let at = start; at < end; at++) {
      const digit = this.#digit(at);
      if (digit < 0 || digit > 9) isWhole = false;
      number = number * 10 + digit;
    }
    if (isWhole) return number;
    // The language's own form of a number is the canonical one.
    const part = this.#text.slice(start, end);
    const parsedNumber = Number(part);
    if (!Number.isFinite(parsedNumber) || String(parsedNumber) !== part) this.#isRight = false;
    return parsedNumber;
  }

  #digit(at: number): number {
    return this.#text.charCodeAt(at) - ZERO;
  }
}

function parsed(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}
