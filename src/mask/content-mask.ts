/** The content masks of one decision over texts: what is found in them is replaced, and JSON stays JSON. */
import { type Classifier, isClassifier } from "../core/classifiers.ts";
import type { ContentForm, ContentMask, MaskedContent } from "../core/content.ts";
import type { MaskTransform } from "../core/obligation.ts";
import { AuthorPattern, decodeText, SearchBudget } from "./author-pattern.ts";
import { ByteBuilder } from "../wire/byte-builder.ts";
import {
  BACKSLASH,
  decodeString,
  encodeString,
  isPunctuation,
  literalEnd,
  looksLikeJson,
  QUOTE,
  skipSpace,
  stringEnd,
} from "./json-text.ts";
import { kindsOf, Scanner } from "./scanner.ts";
import { joinTransforms, REDACTED, writeMasked } from "./transform.ts";

/** What is longer is redacted whole: nobody waits for it to be looked through. */
export const TEXT_BYTES_MAX = 8 * 1024 * 1024;
/** JSON in the strings of JSON is looked into so often. */
const JSON_DEPTH_MAX = 3;

/** What is to be masked how. */
export type ContentMasks = {
  readonly classifiers: Readonly<Record<string, MaskTransform>>;
  /** Author patterns by their text; null: a pattern that is not known, so that anything might match it. */
  readonly patterns: readonly { readonly text: string | null; readonly transform: MaskTransform }[];
  /** Null: what is to be hashed is redacted. */
  readonly hashKey: Uint8Array | null;
};

const TOKEN_REDACTED = new TextEncoder().encode(REDACTED);
const JSON_REDACTED = new TextEncoder().encode(`"${REDACTED}"`);

export class DetectingMask implements ContentMask {
  readonly #scanner: Scanner;
  /** By the kinds of spans: those of the scanner, then the patterns. */
  readonly #transforms: readonly MaskTransform[];
  readonly #patterns: readonly AuthorPattern[];
  readonly #budget = new SearchBudget();
  readonly #hashKey: Uint8Array | null;
  /** Some classifier or pattern is not known: everything is redacted. */
  readonly #hidesAll: boolean;
  readonly #builders: readonly ByteBuilder[] = Array.from(
    { length: 2 * (JSON_DEPTH_MAX + 1) },
    () => new ByteBuilder(),
  );

  constructor(masks: ContentMasks) {
    const transforms = new Map<Classifier, MaskTransform>();
    const wanted: Classifier[] = [];
    for (const [name, transform] of Object.entries(masks.classifiers)) {
      if (!isClassifier(name)) continue;
      wanted.push(name);
      for (const kind of kindsOf(name)) {
        const known = transforms.get(kind);
        transforms.set(kind, known === undefined ? transform : joinTransforms(known, transform));
      }
    }
    this.#scanner = new Scanner(wanted);
    const known = masks.patterns.flatMap(({ text, transform }) => (text === null ? [] : [{ text, transform }]));
    this.#hidesAll = wanted.length < Object.keys(masks.classifiers).length || known.length < masks.patterns.length;
    this.#patterns = known.map(({ text }) => new AuthorPattern(text));
    this.#transforms = [
      ...this.#scanner.kinds.map((kind): MaskTransform => transforms.get(kind) ?? { with: "redact" }),
      ...known.map(({ transform }) => transform),
    ];
    this.#hashKey = masks.hashKey;
  }

  holds(bytes: Uint8Array, start: number, end: number): boolean {
    this.#budget.renew();
    return end > start && (this.#isHidden(start, end) || this.#find(bytes, start, end) !== 0);
  }

  isWithin(bytes: Uint8Array, start: number, end: number): boolean {
    this.#scanner.find(bytes, start, end);
    return this.#scanner.scan.isWithin;
  }

  mask(bytes: Uint8Array, start: number, end: number, form: ContentForm): MaskedContent {
    if (end === start) return null;
    this.#budget.renew();
    if (this.#isHidden(start, end))
      return form === "text" ? TOKEN_REDACTED : form === "json" ? JSON_REDACTED : "absent";
    if (form === "parts") return this.#maskSpans(bytes, start, end, form, 0);
    return this.#maskText(bytes, start, end, form, 0);
  }

  #isHidden(start: number, end: number): boolean {
    return this.#hidesAll || end - start > TEXT_BYTES_MAX;
  }

  /** How many spans were found; negative: it is not known. */
  #find(bytes: Uint8Array, start: number, end: number): number {
    const { scan } = this.#scanner;
    this.#scanner.find(bytes, start, end);
    if (this.#patterns.length === 0) return scan.count;
    const text = decodeText(bytes, start, end);
    if (text === null) return -1;
    for (const [index, pattern] of this.#patterns.entries()) {
      if (!pattern.find(scan, text, this.#scanner.kinds.length + index, this.#budget)) return -1;
    }
    return scan.count;
  }

  #maskText(bytes: Uint8Array, start: number, end: number, form: "text" | "json", depth: number): MaskedContent {
    const isJson = form === "json" || looksLikeJson(bytes, start, end);
    if (isJson && depth <= JSON_DEPTH_MAX) {
      // Without a backslash its strings say what is written.
      const isPlain = this.#patterns.length === 0 && !hasByte(bytes, start, end, BACKSLASH);
      if (isPlain && this.#scanner.find(bytes, start, end) === 0) return null;
      const masked = this.#maskJson(bytes, start, end, depth);
      if (masked !== "not JSON") return masked;
    }
    return this.#maskSpans(bytes, start, end, form, depth);
  }

  /** Replaces what is found. */
  #maskSpans(bytes: Uint8Array, start: number, end: number, form: ContentForm, depth: number): MaskedContent {
    const found = this.#find(bytes, start, end);
    if (found === 0) return null;
    if (form === "json") return JSON_REDACTED;
    if (found < 0) return form === "parts" ? "absent" : TOKEN_REDACTED;
    const out = this.#builder(depth, 0);
    out.clear();
    const { spans, count } = this.#scanner.scan;
    let from = start;
    for (let index = 0; index < count;) {
      const spanStart = spans[3 * index] ?? start;
      let spanEnd = spanStart;
      let transform: MaskTransform | null = null;
      for (; index < count && (transform === null || (spans[3 * index] ?? end) < spanEnd); index++) {
        spanEnd = Math.max(spanEnd, spans[3 * index + 1] ?? end);
        const next = this.#transforms[spans[3 * index + 2] ?? -1] ?? { with: "redact" };
        transform = transform === null ? next : joinTransforms(transform, next);
      }
      if (transform?.with === "null" && form === "text") return "absent";
      if (form === "parts" && hasStructure(bytes, spanStart, spanEnd)) return "absent";
      out.copy(bytes, from, spanStart);
      writeMasked(out, transform ?? { with: "redact" }, bytes, spanStart, spanEnd, this.#hashKey);
      from = spanEnd;
    }
    out.copy(bytes, from, end);
    return out.take();
  }

  /** Masks the strings and numbers of JSON. */
  #maskJson(bytes: Uint8Array, start: number, end: number, depth: number): MaskedContent | "not JSON" {
    const out = this.#builder(depth, 1);
    out.clear();
    let from = start;
    let isMasked = false;
    for (let at = start; at < end;) {
      const byte = bytes[at] ?? 0;
      let next = at + 1;
      let masked: MaskedContent = null;
      if (byte === QUOTE) {
        const close = stringEnd(bytes, at + 1, end);
        if (close === 0) return "not JSON";
        next = close + 1;
        const inside = this.#maskString(bytes, at + 1, close, depth);
        if (inside === "not JSON") return inside;
        // Where a name must stand there is no null.
        const isName = inside === "absent" && bytes[skipSpace(bytes, next, end)] === 0x3a;
        masked = isName ? JSON_REDACTED : inside;
      } else if (!isPunctuation(byte)) {
        const space = skipSpace(bytes, at, end);
        next = space > at ? space : literalEnd(bytes, at, end);
        if (next === 0) return "not JSON";
        if (space === at && this.#find(bytes, at, next) !== 0) masked = "absent";
      }
      if (masked !== null) {
        isMasked = true;
        out.copy(bytes, from, at);
        if (masked === "absent") out.text("null");
        else out.copy(masked, 0, masked.length);
        from = next;
      }
      at = next;
    }
    if (!isMasked) return null;
    out.copy(bytes, from, end);
    return out.take();
  }

  /** The string with this inside, quotes included; null: it stays. */
  #maskString(bytes: Uint8Array, start: number, end: number, depth: number): MaskedContent | "not JSON" {
    if (end === start) return null;
    let at = start;
    while (at < end && bytes[at] !== BACKSLASH) at++;
    let masked: MaskedContent;
    if (at === end) {
      masked = this.#maskSpans(bytes, start, end, "text", depth);
    } else {
      const decoded = new ByteBuilder();
      if (!decodeString(decoded, bytes, start, end)) return "not JSON";
      const said = decoded.take();
      masked = this.#maskText(said, 0, said.length, "text", depth + 1);
    }
    if (masked === null || masked === "absent") return masked;
    const written = new ByteBuilder();
    written.add(QUOTE);
    encodeString(written, masked);
    written.add(QUOTE);
    return written.take();
  }

  #builder(depth: number, which: 0 | 1): ByteBuilder {
    return this.#builders[2 * Math.min(depth, JSON_DEPTH_MAX) + which] ?? new ByteBuilder();
  }
}

function hasByte(bytes: Uint8Array, start: number, end: number, byte: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === byte) return true;
  return false;
}

/** What means something in arrays, composites and XML. */
const STRUCTURE = '"\\{}(),<>&';

function hasStructure(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (STRUCTURE.includes(String.fromCharCode(bytes[at] ?? 0))) return true;
  return false;
}
