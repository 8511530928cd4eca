/** The words of PostgreSQL that policy may use under `action.postgres`: verbs with their classes, keys, and `$catalog`. */
import { OBLIGATION_KINDS } from "../../src/core/obligation.ts";
import type { AccessClass } from "../../src/core/operation.ts";
import type { MaskChange, Vocabulary } from "../../src/core/vocabulary.ts";
import { CATALOG_RELATIONS } from "./describe/catalog-relations.ts";

/** What belongs to every session: ambient, so some permit for the session's database is enough. */
const SESSION_VERBS = {
  connect: "connect",
  empty: "connect",
  begin: "connect",
  commit: "connect",
  rollback: "connect",
  savepoint: "connect",
  release: "connect",
  "rollback to": "connect",
  show: "connect",
  /** Of a parameter that cannot change what later statements may do; the others are `set protected`. */
  set: "connect",
  "set constraints": "connect",
  deallocate: "connect",
  discard: "connect",
  /** Of a cursor. */
  close: "connect",
  unlisten: "connect",
} as const satisfies Record<string, AccessClass>;

const DATA_VERBS = {
  select: "read",
  explain: "read",
  "copy to": "read",
  /** It receives what other sessions send. */
  listen: "read",
  insert: "write",
  update: "write",
  delete: "write",
  merge: "write",
  truncate: "write",
  "copy from": "write",
  "select for update": "write",
  lock: "write",
  /** It sends to other sessions. */
  notify: "write",
  "refresh materialized view": "write",
  "prepare transaction": "write",
  "commit prepared": "write",
  "rollback prepared": "write",
  /** Of a function that is not on the safe list, wherever it is called. */
  execute: "execute",
  call: "execute",
  /** The protocol's FunctionCall, which names a function by its number. */
  "function call": "execute",
} as const satisfies Record<string, AccessClass>;

/** Objects whose definition has the class `define`. */
export const DEFINED_OBJECTS = [
  "access method",
  "aggregate",
  "cast",
  "collation",
  "conversion",
  "domain",
  "event trigger",
  "extension",
  "foreign data wrapper",
  "foreign table",
  "function",
  "index",
  "language",
  "large object",
  "materialized view",
  "operator",
  "operator class",
  "operator family",
  "policy",
  "procedure",
  "publication",
  "routine",
  "rule",
  "schema",
  "sequence",
  "server",
  "statistics",
  "table",
  "text search configuration",
  "text search dictionary",
  "text search parser",
  "text search template",
  "transform",
  "trigger",
  "type",
  "view",
] as const;
export type DefinedObject = (typeof DEFINED_OBJECTS)[number];

/** Objects that decide who may do what, or that reach beyond the database: `administer`. */
export const ADMINISTERED_OBJECTS = ["database", "role", "subscription", "tablespace", "user mapping"] as const;
export type AdministeredObject = (typeof ADMINISTERED_OBJECTS)[number];

type DefinitionVerb = `${"create" | "alter" | "drop"} ${DefinedObject | AdministeredObject}`;

const OTHER_DEFINITION_VERBS = {
  "create table as": "define",
  comment: "define",
  "import foreign schema": "define",
} as const satisfies Record<string, AccessClass>;

const ADMINISTRATION_VERBS = {
  grant: "administer",
  revoke: "administer",
  "alter default privileges": "administer",
  "security label": "administer",
  "drop owned": "administer",
  "reassign owned": "administer",
  "set role": "administer",
  "set session authorization": "administer",
  "set protected": "administer",
  "alter system": "administer",
  checkpoint: "administer",
  load: "administer",
  vacuum: "administer",
  analyze: "administer",
  cluster: "administer",
  reindex: "administer",
  /** COPY to or from a program on the server. */
  "copy program": "administer",
  /** COPY to or from a file on the server. */
  "copy file": "administer",
} as const satisfies Record<string, AccessClass>;

export type Verb =
  | keyof typeof SESSION_VERBS
  | keyof typeof DATA_VERBS
  | keyof typeof OTHER_DEFINITION_VERBS
  | keyof typeof ADMINISTRATION_VERBS
  | DefinitionVerb;

const ACTIONS = ["create", "alter", "drop"] as const;

/** Every verb with the class of its accesses. */
export const VERB_CLASSES: ReadonlyMap<string, AccessClass> = new Map<string, AccessClass>([
  ...Object.entries(SESSION_VERBS),
  ...Object.entries(DATA_VERBS),
  ...DEFINED_OBJECTS.flatMap((object) =>
    ACTIONS.map((action): [string, AccessClass] => [`${action} ${object}`, "define"]),
  ),
  ...Object.entries(OTHER_DEFINITION_VERBS),
  ...ADMINISTERED_OBJECTS.flatMap((object) =>
    ACTIONS.map((action): [string, AccessClass] => [`${action} ${object}`, "administer"]),
  ),
  ...Object.entries(ADMINISTRATION_VERBS),
]);

/** The class of a verb's accesses. */
export function classOf(verb: Verb): AccessClass {
  const found = VERB_CLASSES.get(verb);
  if (!found) throw new Error(`the verb ${verb} has no class`);
  return found;
}

export const POSTGRES_VOCABULARY: Vocabulary = {
  name: "postgres",
  keys: {
    databases: { kind: "names", description: "Names of databases.", ofSession: true },
    verbs: {
      kind: "enum",
      description: "What a statement does, and not how it is spelled.",
      values: [...VERB_CLASSES.keys()],
      classOf: Object.fromEntries(VERB_CLASSES),
    },
    relations: {
      kind: "names",
      description: "Tables, views and sequences as `schema.name`.",
      segments: { names: ["schema", "name"], usualFirst: "public" },
    },
    columns: {
      kind: "names",
      description: "Columns as `schema.relation.column`, wherever the statement refers to them.",
      segments: { names: ["schema", "relation", "column"], usualFirst: "public" },
    },
    compared: {
      kind: "names",
      description:
        "Masked columns as `schema.relation.column` whose value is compared with a parameter, where `predicates: equality` lets it be.",
      segments: { names: ["schema", "relation", "column"], usualFirst: "public" },
    },
    functions: {
      kind: "names",
      description: "Functions as `schema.name` that are not on the built-in safe list, however they are called.",
      segments: { names: ["schema", "name"], usualFirst: "public" },
      permitsMustName: true,
    },
    unfiltered: {
      kind: "flag",
      description: "An UPDATE, DELETE or TRUNCATE whose condition does not depend on the row, or that has none.",
    },
  },
  sets: { catalog: CATALOG_RELATIONS },
  keeps: OBLIGATION_KINDS,
  masks: ["columns", "classifiers", "patterns"],
  maskChanges(transform, predicates, settings, isOfContent) {
    const hash = isOfContent ? [HASH_OF_CONTENT] : isGuarded(settings) ? [] : [HASH_INLINE];
    const equality = isOfContent && predicates === "equality" ? [EQUALITY_OF_CONTENT] : [];
    return [...(transform.with === "hash" ? hash : []), ...equality];
  },
};

const HASH_INLINE: MaskChange = {
  from: "hash",
  to: "redact",
  because: "masked inline, there is no place for the key of a hash",
};
const HASH_OF_CONTENT: MaskChange = {
  from: "hash",
  to: "redact",
  because: "there is no key of a hash where rows pass",
};
const EQUALITY_OF_CONTENT: MaskChange = {
  from: "predicates: equality",
  to: "nothing",
  because: "what texts hold is masked where rows pass, and no condition is looked at for it",
};

/** Of a target's settings, which this adapter has validated. */
function isGuarded(settings: unknown): boolean {
  if (typeof settings !== "object" || settings === null || !("masking" in settings)) return false;
  const { masking } = settings;
  return typeof masking === "object" && masking !== null && "mode" in masking && masking.mode === "guarded";
}
