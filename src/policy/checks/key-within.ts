/**
 * Containment of single keys: whether what one rule lists surely makes another rule's key hold. Never says yes when it
 * is no; may say no where only a closer look would tell.
 */
import type { WrittenWord } from "../engine/argv.ts";
import { globCovers } from "../engine/glob-cover.ts";
import { isGlob } from "../engine/glob.ts";
import { foldCase } from "../engine/names.ts";
import type { KeyMatcher } from "../engine/rule.ts";

/**
 * What is compared. permits: what the one permit covers, the other covers. permit-guard: what the permit covers, the
 * guard touches. guards: what the one guard touches, the other touches.
 */
export type Sides = "permits" | "permit-guard" | "guards";

/** How the values of a key are compared. */
export type KeyTraits = {
  /** Guards compare its values without regard to case. */
  readonly isFolded: boolean;
  /** Its values are paths, whose hidden parts a permit must mean. */
  readonly isPath: boolean;
};

export function keyWithin(inner: KeyMatcher, outer: KeyMatcher, sides: Sides, traits: KeyTraits): boolean {
  if (inner.kind === "flag" || outer.kind === "flag") {
    return inner.kind === "flag" && outer.kind === "flag" && inner.value === outer.value;
  }
  if (inner.kind === "names" && outer.kind === "names") {
    return namesWithin(inner.names.texts, outer.names.texts, sides, traits);
  }
  if (inner.kind === "argv" && outer.kind === "argv") {
    return inner.argv.patterns.every((one) => outer.argv.patterns.some((other) => patternWithin(one, other)));
  }
  if (inner.kind === "contains" && outer.kind === "contains") {
    return partsWithin(inner.texts.texts, outer.texts.texts, sides, traits);
  }
  if (inner.kind === "fields" && outer.kind === "fields") {
    return fieldsWithin(inner.fields.texts, outer.fields.texts, sides, traits);
  }
  return false;
}

/** Is every name that the one list has in the other? */
export function namesWithin(
  inner: readonly string[],
  outer: readonly string[],
  sides: Sides,
  traits: KeyTraits,
): boolean {
  const outers = new Set(outer);
  return inner.every((text) => {
    const compared = folded(text, sides, traits);
    if (compared === null) return false;
    if (outers.has(compared)) return true;
    // No wildcard of a permit stands for a hidden part, but the dot that is written out does.
    if (sides === "permits" && traits.isPath && namesHidden(text)) return false;
    return outer.some((other) => isGlob(other) && globCovers(other, compared));
  });
}

/** A permit's text as a guard that ignores case sees it; null when that depends on what stands around it. */
function folded(text: string, sides: Sides, { isFolded }: KeyTraits): string | null {
  if (sides !== "permit-guard" || !isFolded) return text;
  return isAscii(text) ? foldCase(text) : null;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

function namesHidden(path: string): boolean {
  return path.startsWith(".") || path.includes("/.");
}

/* ---- commands ---- */

function patternWithin(inner: readonly WrittenWord[], outer: readonly WrittenWord[]): boolean {
  return inner.length === outer.length && inner.every((word, at) => wordWithin(word, outer[at] ?? []));
}

function wordWithin(inner: WrittenWord, outer: WrittenWord): boolean {
  const choices = choicesOf(outer);
  return choicesOf(inner).every((text) => choices.some((other) => choiceWithin(text, other)));
}

function choicesOf(word: WrittenWord): readonly string[] {
  return typeof word === "string" ? [word] : word;
}

/** A glob that begins with a wildcard stands for no option, so it stands for no word that may begin with a hyphen. */
function choiceWithin(inner: string, outer: string): boolean {
  if (inner === outer) return true;
  return isGlob(outer) && !(outer.startsWith("*") && inner.startsWith("-")) && globCovers(outer, inner);
}

/* ---- texts and fields ---- */

function partsWithin(inner: readonly string[], outer: readonly string[], sides: Sides, traits: KeyTraits): boolean {
  // A pattern that gives up on a long text keeps a permit from covering it, whatever else is listed.
  if (sides === "permits" && outer.some(isPattern)) return JSON.stringify(inner) === JSON.stringify(outer);
  const folds = sides !== "permits" && traits.isFolded;
  const parts = outer.filter((text) => !isPattern(text)).map((part) => (folds ? foldCase(part) : part));
  return inner.every((text) => {
    if (isPattern(text)) return outer.includes(text);
    // How a text is folded around a permit's part depends on what stands there, but for ASCII.
    if (folds && sides === "permit-guard" && !isAscii(text)) return false;
    const compared = folds ? foldCase(text) : text;
    return parts.some((part) => compared.includes(part));
  });
}

function isPattern(text: string): boolean {
  return text.startsWith("$");
}

function fieldsWithin(inner: readonly string[], outer: readonly string[], sides: Sides, traits: KeyTraits): boolean {
  const folds = sides !== "permits" && traits.isFolded;
  const inners = fieldsOf(inner, folds);
  const outers = fieldsOf(outer, folds);
  if (inners === null || outers === null) return false;
  return [...outers].every(([name, values]) => {
    const given = inners.get(name);
    return given !== undefined && namesWithin(given, values, sides, traits);
  });
}

/** Values by the name of the field; null when the names of two fall together. */
function fieldsOf(texts: readonly string[], folds: boolean): ReadonlyMap<string, readonly string[]> | null {
  const fields = new Map<string, { readonly written: string; readonly values: string[] }>();
  for (const text of texts) {
    const end = text.indexOf("=");
    const written = text.slice(0, end);
    const name = folds ? foldCase(written) : written;
    const field = fields.get(name) ?? { written, values: [] };
    if (field.written !== written) return null;
    field.values.push(text.slice(end + 1));
    fields.set(name, field);
  }
  return new Map([...fields].map(([name, { values }]) => [name, values]));
}
