/** Canonical JSON as RFC 8785 (JCS) writes it: the one form in which a leaf of the log can be hashed and compared. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

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

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
