/** Gathers what one statement does: an access per verb and relation, and per function that is not known to be safe. */
import { UNKNOWN } from "../../../src/core/operation.ts";
import type { Access, AccessClass, Facts, FactValue, Unknown } from "../../../src/core/operation.ts";
import { isAmbientRelation } from "./catalog-relations.ts";
import { classOf } from "../vocabulary.ts";
import type { Verb } from "../vocabulary.ts";
import { joinIdentifier } from "./identifier.ts";
import type { References } from "./references.ts";
import type { ResolvedRelation } from "./resolver.ts";
import { TrackedColumns } from "./tracked-columns.ts";

/** One relation under one verb. The same object is handed out for every mention, so its columns come together. */
export type RelationUse = {
  readonly verb: Verb;
  readonly class: AccessClass;
  readonly relation: ResolvedRelation;
  readonly columns: Set<string>;
  /** A column was named that cannot be found, or the relation's columns are not known. */
  columnsUnknown: boolean;
  unfiltered: boolean | null;
  /** Rows are locked as well (FOR UPDATE and its like). */
  locked: boolean;
  /** All columns that it has are taken together, by a `*` that stays, as a row or by NATURAL: one more would be among them. */
  isWhole: boolean;
};

const NO_COLUMNS: ReadonlySet<string> = new Set();

export class Collector {
  readonly #database: string;
  readonly #uses = new Map<string, RelationUse>();
  readonly #functions = new Set<string>();
  #unknownFunctions: string | null = null;
  readonly #others: Access[] = [];
  /** Null: the session is not governed. */
  readonly references: References | null;
  /** The first thing that could not be resolved, as a sentence for people. */
  unresolved: string | null = null;
  /** It sets search_path by a function. */
  setsPath = false;

  constructor(database: string, references: References | null) {
    this.#database = database;
    this.references = references;
  }

  /** Mentions a relation under a verb. */
  relation(verb: Verb, accessClass: AccessClass, relation: ResolvedRelation): RelationUse {
    const key = `${verb} ${relation.key}`;
    let use = this.#uses.get(key);
    if (!use) {
      use = {
        verb,
        class: accessClass,
        relation,
        columns: this.references?.columnsOf(relation) ?? new Set(),
        columnsUnknown: relation.columns === null,
        unfiltered: null,
        locked: false,
        isWhole: false,
      };
      if (use.columns instanceof TrackedColumns) use.columns.use = use;
      this.#uses.set(key, use);
      if (relation.unknownBecause !== null) this.unresolved ??= relation.unknownBecause;
    }
    return use;
  }

  /** Calls of functions that are not known to be safe: every candidate, as `schema.name`. */
  execute(functions: readonly string[]): void {
    for (const name of functions) this.#functions.add(name);
  }

  /** A call whose function cannot be known. */
  executeUnknown(because: string): void {
    this.#unknownFunctions ??= because;
    this.unresolved ??= because;
  }

  /** A procedure: each candidate, as `schema.name`; null when it cannot be known. */
  call(procedures: readonly string[] | null): void {
    if (procedures === null || procedures.length === 0) {
      this.unresolved ??= "the procedure is not in the catalog";
      this.other(classOf("call"), "call", { functions: UNKNOWN }, { opaque: true });
    } else this.other(classOf("call"), "call", { functions: procedures });
  }

  /** Relations under their verbs, as mentioned. */
  get uses(): Iterable<RelationUse> {
    return this.#uses.values();
  }

  /** Functions that are not known to be safe, as `schema.name`. */
  get functions(): ReadonlySet<string> {
    return this.#functions;
  }

  /** Nothing has been gathered. */
  get isEmpty(): boolean {
    return (
      this.#uses.size === 0 &&
      this.#functions.size === 0 &&
      this.#unknownFunctions === null &&
      this.#others.length === 0
    );
  }

  /** Functions may run that do more than compute. */
  get callsUnsafely(): boolean {
    return this.#functions.size > 0 || this.#unknownFunctions !== null;
  }

  /** An access that is about no relation's columns: a session statement, a definition, an administration. */
  other(accessClass: AccessClass, verb: Verb, facts: Facts = {}, marks: { ambient?: true; opaque?: true } = {}): void {
    const all = { databases: [this.#database], verbs: [verb], ...facts };
    this.#others.push({ class: accessClass, facts: all, ...marks });
  }

  /** Accesses that another statement's analysis has already described (EXECUTE, FETCH). */
  include(accesses: readonly Access[]): void {
    this.#others.push(...accesses);
  }

  /** What was gathered, in a fixed order: relations as mentioned, functions by name, then the rest. */
  accesses(): Access[] {
    const accesses: Access[] = [];
    for (const use of this.#uses.values()) {
      accesses.push(this.#describeUse(use, use.verb, use.class));
      // EXPLAIN locks nothing.
      if (use.locked && use.verb !== "explain") accesses.push(this.#describeUse(use, "select for update", "write"));
    }
    for (const name of [...this.#functions].toSorted()) {
      accesses.push({
        class: "execute",
        facts: { databases: [this.#database], verbs: ["execute"], functions: [name] },
      });
    }
    if (this.#unknownFunctions !== null) {
      const facts = { databases: [this.#database], verbs: ["execute"], functions: UNKNOWN } satisfies Facts;
      accesses.push({ class: "execute", facts, opaque: true });
    }
    accesses.push(...this.#others);
    return accesses;
  }

  #describeUse(use: RelationUse, verb: Verb, accessClass: AccessClass): Access {
    const { relation } = use;
    const facts: Record<string, FactValue | Unknown> = {
      databases: [this.#database],
      verbs: [verb],
      relations: relation.name === null ? UNKNOWN : [relation.name],
    };
    if (use.columnsUnknown) facts["columns"] = UNKNOWN;
    else if (use.columns.size > 0)
      facts["columns"] = Array.from(
        use.columns,
        (column) => relation.columns?.get(column) ?? `${relation.name}.${joinIdentifier(column)}`,
      );
    if (use.unfiltered !== null) facts["unfiltered"] = use.unfiltered;
    if (relation.unknownBecause !== null) return { class: accessClass, facts, opaque: true };
    // What is hidden of the server's own relations is not read.
    const isHidden = this.references?.masked(relation)?.isServersOwn === true;
    const read = isHidden ? NO_COLUMNS : use.columns;
    const isAmbient = relation.name !== null && isAmbientRelation(relation.name, read, !use.columnsUnknown);
    if (accessClass === "read" && isAmbient) {
      return { class: accessClass, facts, ambient: true };
    }
    return { class: accessClass, facts };
  }
}
