/** What masking's own objects in a database are called. */
import { createHash } from "node:crypto";
import type { MaskTransform } from "../../../src/core/obligation.ts";
import { joinIdentifier } from "../describe/identifier.ts";

/** NAMEDATALEN - 1: the server would cut a longer name. */
const NAME_BYTES_MAX = 63;
/** Hexadecimal digits that stand for what was cut off. */
const CUT_DIGEST_CHARS = 16;

/** The masking view of a relation, in MASKS_SCHEMA; `only`: the one that leaves its children out. */
export function maskingViewName(schema: string, relation: string, only = false): string {
  return fitted(`${joinIdentifier(schema, relation)}${only ? " (only)" : ""}`);
}

/** The function in MASKS_SCHEMA that shows the rows of the masking view where a column has a value. */
export function comparisonName(schema: string, relation: string, column: string, only = false): string {
  return fitted(`${joinIdentifier(schema, relation, column)} =${only ? " (only)" : ""}`);
}

/**
 * The column of a masking view that shows a column as `hash` or `partial` does; null for transforms whose constant
 * needs no column. `own` are the names of the relation's own columns.
 */
export function variantColumnName(transform: MaskTransform, column: string, own: Iterable<string>): string | null {
  if (transform.with === "redact" || transform.with === "null") return null;
  const taken = new Set(own);
  const words = transform.with === "partial" ? `partial ${transform.keepFirst} ${transform.keepLast}` : "hash";
  for (let attempt = 0; ; attempt++) {
    const name = fitted(`${column} (${words})${attempt === 0 ? "" : ` ${attempt}`}`);
    if (!taken.has(name)) return name;
  }
}

/** The name itself if the server keeps all of it; else its beginning and a digest of the whole. */
function fitted(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, CUT_DIGEST_CHARS);
  let kept = "";
  for (const character of name) {
    if (Buffer.byteLength(kept + character) + 1 + CUT_DIGEST_CHARS > NAME_BYTES_MAX) break;
    kept += character;
  }
  return `${kept}~${digest}`;
}
