/** The functions of pg_catalog that a definition calls and that are not known to be safe. */
import { joinIdentifier } from "../describe/identifier.ts";
import { isSafeFunction } from "../describe/safe-functions.ts";
import { namesOf } from "../describe/tree.ts";
import { isFields, type ParsedStatement } from "../parser.ts";

/**
 * As `pg_catalog.name`. `statements` are as the server writes them with an empty search_path: what has no schema is in
 * pg_catalog. Throws NotUnderstood on a name that is none.
 */
export function unsafeBuiltInCalls(statements: readonly ParsedStatement[]): ReadonlySet<string> {
  const calls = new Set<string>();
  for (const { node } of statements) gather(node, calls);
  return calls;
}

function gather(value: unknown, calls: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) gather(item, calls);
  if (!isFields(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    const call = key === "FuncCall" && isFields(inner) ? unsafeBuiltIn(namesOf(inner["funcname"])) : null;
    if (call !== null) calls.add(call);
    gather(inner, calls);
  }
}

/** Null: it is safe, or it is of another schema. */
export function unsafeBuiltIn(name: readonly string[]): string | null {
  const own = name.at(-1) ?? "";
  const schema = name.at(-2) ?? "pg_catalog";
  return schema === "pg_catalog" && !isSafeFunction(schema, own) ? joinIdentifier(schema, own) : null;
}
