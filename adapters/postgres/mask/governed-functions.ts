/** Which functions a governed session may call beside those that every session may. */
import { MASKS_SCHEMA } from "../masking-settings.ts";
import type { FunctionName } from "../catalog.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import { isSafeFunction, isSafeSupportFunction } from "../describe/safe-functions.ts";
import { wordSet } from "../describe/word-list.ts";
import type { MaskRefusal } from "../describe/references.ts";
import type { MaskingPlan } from "./plan.ts";

/**
 * Functions of pg_catalog that policy has to permit by name and that show nothing of any relation's rows: sequences, waits,
 * hashes, sizes. Nothing is here that reads a relation named by a text, runs a text, reads files or large objects, tells
 * of other sessions, shows the source of functions, or keeps a value where somebody else finds it (set_config, pg_notify).
 */
const HARMLESS = wordSet(
  `nextval setval pg_sleep pg_sleep_for pg_sleep_until hashtext hashtextextended hashint4 hashint8 hashint4extended
   hashint8extended hash_array uuid_hash pg_tablespace_size`,
);

/** Null: it may be called. `name` is `schema.name`. */
export function functionRefusal(name: string, { safeFunctions }: MaskingPlan): MaskRefusal | null {
  if (name.startsWith(`${MASKS_SCHEMA}.`)) {
    return {
      message: `function ${name} is the gateway's own`,
      hint: "Compare the column itself with a parameter; what policy allows is done by that.",
    };
  }
  if (safeFunctions.has(name) || (isBuiltIn(name) && HARMLESS.has(name.slice(name.indexOf(".") + 1)))) return null;
  return {
    message: `function ${name} is not known to be safe where columns are masked`,
    hint: "Do without it, or have it listed under masking.safeFunctions of the target once somebody has looked at what it shows.",
  };
}

/** Of the functions behind a type; null: values of it may be made. */
export function typeRefusal(functions: readonly FunctionName[], plan: MaskingPlan): MaskRefusal | null {
  for (const { schema, name } of functions) {
    if (isSafeFunction(schema, name) || isSafeSupportFunction(name)) continue;
    const refusal = functionRefusal(joinIdentifier(schema, name), plan);
    if (refusal !== null) return refusal;
  }
  return null;
}

/** Comes with the server. */
export function isBuiltIn(name: string): boolean {
  return name.startsWith("pg_catalog.") || name.startsWith("information_schema.");
}
