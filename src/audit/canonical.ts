/** Canonical JSON as RFC 8785 (JCS) writes it: the one form in which a leaf of the log can be hashed and compared. */

export type JsonObject = { readonly [key: string]: Json | undefined };
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/**
 * Canonical JSON of a value. Members that are `undefined` are left out. A lone surrogate, which RFC 8785 does not
 * allow, becomes U+FFFD. Throws RangeError for a number that JSON does not have and for nesting over 64 levels.
 */
export function canonicalJson(value: Json, depth = 0): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "string") return canonicalString(value);
  if (typeof value === "number") {
    // ECMAScript's own number form is the one that RFC 8785 prescribes.
    if (!Number.isFinite(value)) throw new RangeError("JSON has no number for NaN and infinity");
    return JSON.stringify(value);
  }
  if (depth >= NESTING_MAX) throw new RangeError(`nested deeper than ${NESTING_MAX} levels`);
  if (isList(value)) {
    let list = "[";
    for (let i = 0; i < value.length; i++) list += (i === 0 ? "" : ",") + canonicalJson(value[i] ?? null, depth + 1);
    return list + "]";
  }
  let object = "{";
  // The default order of strings is by UTF-16 code units, as RFC 8785 wants it.
  for (const key of Object.keys(value).toSorted()) {
    const member = value[key];
    if (member === undefined) continue;
    object += (object.length === 1 ? "" : ",") + canonicalString(key) + ":" + canonicalJson(member, depth + 1);
  }
  return object + "}";
}

const NESTING_MAX = 64;

/** A string as RFC 8785 writes it, quotes included. */
export function canonicalString(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

/**
 * Is a text the canonical JSON of what JSON.parse() has made of it? `depth`: how deep it lies in other JSON. The engine's
 * own writer is much faster than ours, and right whenever the keys are in order and none is a number.
 */
export function isCanonical(json: Json, text: string, depth = 0): boolean {
  if (JSON.stringify(json) === text && isSorted(json, depth)) return true;
  try {
    return canonicalJson(json, depth) === text;
  } catch {
    return false;
  }
}

function isSorted(json: Json, depth: number): boolean {
  if (typeof json !== "object" || json === null) return true;
  if (depth >= NESTING_MAX) return false;
  if (isList(json)) {
    for (const each of json) if (!isSorted(each, depth + 1)) return false;
    return true;
  }
  let last = "";
  for (const key of Object.keys(json)) {
    if (key < last) return false;
    last = key;
    const member = json[key];
    if (typeof member === "object" && !isSorted(member, depth + 1)) return false;
  }
  return true;
}

/** Parses JSON. Throws SyntaxError. */
export function parseJson(text: string): Json {
  const json: unknown = JSON.parse(text);
  return isJson(json) ? json : null;
}

/** JSON.parse answers nothing else. */
function isJson(value: unknown): value is Json {
  return value !== undefined;
}

export function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !isList(json);
}

export function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
