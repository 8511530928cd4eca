/** The `masking:` section of a target in weir.yaml: how its columns are masked, and what a governed session may use. */
import * as v from "valibot";
import type { MaskMode } from "./mask/plan.ts";
import { name, password } from "./setting-shapes.ts";

/** The role that owns the masking views, and the schema they are in. Both are the gateway's own. */
export const MASKS_ROLE = "weir_masks";
export const MASKS_SCHEMA = "weir_masks";

const NAMES_MAX = 1000;
const SIGNATURE_CHARS_MAX = 2000;

/** How columns of a target are masked; every default is filled in. */
export type MaskingSettings = {
  readonly mode: MaskMode;
  /** The login of governed sessions; null: the target's own (inline). */
  readonly user: string | null;
  readonly password: string | null;
  /** Of governed sessions; nothing but pg_catalog before, pg_temp after. */
  readonly searchPath: readonly string[];
  /** `schema.name(types)`, as written: what a governed session may call besides the built-in safe functions. */
  readonly safeFunctions: readonly string[];
  /** Channels that a governed session may LISTEN to and NOTIFY. */
  readonly listenChannels: readonly string[];
};

const user = v.pipe(
  name,
  v.check(
    (value) => value !== MASKS_ROLE,
    `${MASKS_ROLE} owns the masking views; governed sessions need another login`,
  ),
  v.check((value) => !value.startsWith("pg_"), "PostgreSQL keeps names that begin with pg_ for itself"),
);

const searched = v.pipe(
  name,
  v.check((value) => value !== "$user", "write the schema's name; $user would be another one for governed sessions"),
  v.check((value) => !value.startsWith("pg_temp"), "temporary objects are searched last; this cannot be changed"),
);

const signature = v.pipe(
  v.string(),
  v.maxLength(SIGNATURE_CHARS_MAX, `a function has at most ${SIGNATURE_CHARS_MAX} characters`),
  v.check(
    (value) => functionNameOf(value) !== null,
    'expected a function with its schema and argument types, such as app.add_tax(numeric); quote names as SQL does: app."Tax"()',
  ),
);

function list<const S extends v.GenericSchema<string, string>>(item: S) {
  return v.pipe(v.array(item), v.maxLength(NAMES_MAX, `at most ${NAMES_MAX} of them`));
}

const section = v.strictObject({
  mode: v.pipe(
    v.picklist(["guarded", "inline"]),
    v.description(
      "guarded: views that the database's administrator has prepared, and a login without a right to raw columns. inline: in the statement alone; weaker, for trial.",
    ),
  ),
  user: v.optional(v.pipe(user, v.description("guarded: the login of governed sessions, another than the target's."))),
  password: v.optional(password),
  searchPath: v.optional(v.pipe(list(searched), v.description("The search_path of governed sessions.")), ["public"]),
  safeFunctions: v.optional(
    v.pipe(list(signature), v.description("schema.name(types): may be called besides the built-in safe ones.")),
    [],
  ),
  listenChannels: v.optional(v.pipe(list(name), v.description("May be used by LISTEN and NOTIFY.")), []),
});

/** Validates the section, whose values are plain ones by now, and fills in its defaults. */
export const maskingSchema = v.pipe(
  section,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const message of contradictions(dataset.value)) addIssue({ message });
  }),
  v.transform((given): MaskingSettings => ({
    ...given,
    user: given.user ?? null,
    password: given.password ?? null,
  })),
);

function contradictions(given: v.InferOutput<typeof section>): string[] {
  if (given.mode === "guarded") {
    return given.user === undefined ? ["guarded mode needs a user: the login that governed sessions get"] : [];
  }
  if ((given.user ?? given.password) === undefined) return [];
  return ["inline mode uses the target's own login; take user and password out, or write mode: guarded"];
}

/**
 * Schema and name of a function as PostgreSQL would read them: `app."Add tax"(numeric)`. Null when it has no such
 * shape; whether the types exist is the server's to say.
 */
export function functionNameOf(text: string): { readonly schema: string; readonly name: string } | null {
  const schema = readIdentifier(text, 0);
  if (schema === null || text[schema.end] !== ".") return null;
  const own = readIdentifier(text, schema.end + 1);
  if (own === null || text[own.end] !== "(" || !text.endsWith(")") || text.includes("\0")) return null;
  return { schema: schema.value, name: own.value };
}

/** https://www.postgresql.org/docs/18/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS, in ASCII; others are to be quoted. */
function readIdentifier(text: string, start: number): { readonly value: string; readonly end: number } | null {
  if (text[start] === '"') {
    let value = "";
    for (let at = start + 1; at < text.length; at++) {
      if (text[at] !== '"') value += text[at] ?? "";
      else if (text[at + 1] === '"') value += text[at++] ?? "";
      else return value === "" ? null : { value, end: at + 1 };
    }
    return null;
  }
  let end = start;
  while (end < text.length && isIdentifierPart(text[end] ?? "", end === start)) end++;
  return end === start ? null : { value: text.slice(start, end).toLowerCase(), end };
}

function isIdentifierPart(char: string, isFirst: boolean): boolean {
  const isLetter = (char >= "a" && char <= "z") || (char >= "A" && char <= "Z") || char === "_";
  return isLetter || (!isFirst && ((char >= "0" && char <= "9") || char === "$"));
}
