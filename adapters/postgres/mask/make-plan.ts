/** Makes the masking plan of a session: what the catalog and policy say becomes the SQL that stands for each masked relation. */
import { createHash } from "node:crypto";
import { joinIdentifier } from "../describe/identifier.ts";
import { SYSTEM_COLUMNS } from "../describe/scope.ts";
import { functionNameOf, MASKS_SCHEMA, type MaskingSettings } from "../masking-settings.ts";
import { quoteQualified } from "../quote.ts";
import { type Comparison, comparedType, comparisonFunction } from "./comparison.ts";
import { type ColumnMask, derive, type Derivation, type PolicyMasks } from "./derive.ts";
import { type ColumnFacts, descendants, type MaskFacts, type RelationFacts } from "./facts.ts";
import { HIDDEN_COLUMNS } from "./governed-catalog.ts";
import { columnKey } from "./lineage-scope.ts";
import type { MaskedRelation, MaskingPlan, MaskMode, PlannedColumn } from "./plan.ts";
import { tiedColumns } from "./ties.ts";
import { effectiveTransform, inlineExpression, maskConstant, viewColumn } from "./transforms.ts";
import { comparisonName, maskingViewName } from "./view-names.ts";

/** What a target's settings say of masking. Overloads of a function share a name, so declaring one of them safe declares all. */
export type PlanSettings = Pick<MaskingSettings, "mode" | "safeFunctions" | "listenChannels"> & {
  /** Null: it is not pinned. */
  readonly searchPath: readonly string[] | null;
};

/**
 * Null: nothing is masked. `notServed`: why nothing that is masked may be mentioned at all. `isPrepared`: there is a
 * function of this name in MASKS_SCHEMA. Pure and synchronous.
 */
export function makePlan(
  facts: MaskFacts,
  policy: PolicyMasks,
  settings: PlanSettings,
  notServed: string | null = null,
  isPrepared: (functionName: string) => boolean = () => false,
): MaskingPlan | null {
  const safeFunctions = safeFunctionNames(settings.safeFunctions);
  const derivation = derive(facts, policy, safeFunctions);
  if (derivation.masks.size === 0) return null;
  const relations: MaskedRelation[] = [];
  for (const relation of facts.relations.values()) {
    const planned = planRelation(relation, derivation, facts, settings.mode, isPrepared);
    if (planned === null) continue;
    relations.push(notServed === null ? planned : { ...planned, closedBecause: planned.closedBecause ?? notServed });
  }
  if (settings.mode === "guarded") relations.push(OTHER_SCHEMAS);
  relations.push(...hiddenCatalog(facts));
  const tied = new Map<string, ReadonlySet<string>>();
  for (const [oid, columns] of tiedColumns(facts, derivation.masks)) {
    const relation = facts.relations.get(oid);
    if (relation !== undefined) tied.set(joinIdentifier(relation.schema, relation.name), columns);
  }
  return new Plan(relations, tied, settings, safeFunctions);
}

/** Listings of schemas, and of what is in them, leave the gateway's own schema out. */
const OTHER_SCHEMAS: MaskedRelation = {
  oid: 2615,
  schema: "pg_catalog",
  name: "pg_namespace",
  columns: ["oid", "nspname", "nspowner", "nspacl"].map((name, index) => ({ name, attnum: index + 1, mask: null })),
  source: `(SELECT ${SYSTEM_COLUMNS.join(", ")}, * FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.<>) '${MASKS_SCHEMA}') AS shown`,
  sourceOnly: null,
  hidesRows: true,
  isServersOwn: true,
  closedBecause: null,
};

/** Tools list all columns of these (`SELECT a.*, ... FROM pg_attribute a`): what is hidden of them is NULL. */
function hiddenCatalog(facts: MaskFacts): MaskedRelation[] {
  return Object.entries(HIDDEN_COLUMNS).flatMap(([full, hidden]) => {
    const [schema = "", name = ""] = full.split(".");
    const relation = facts.relation(schema, name);
    if (relation === undefined) return [];
    const columns = relation.columns.map(({ name: column, attnum }): PlannedColumn => {
      if (!hidden.includes(column)) return { name: column, attnum, mask: null };
      // Of the column's type, some of which nothing can be cast to (anyarray, pg_node_tree).
      const nothing = `CASE WHEN false THEN ${quoteQualified(column)} END`;
      return { name: column, attnum, mask: { constant: "NULL", expression: nothing, predicates: "masked" } };
    });
    const source = quoteQualified(schema, name);
    return [
      { oid: relation.oid, schema, name, columns, source, sourceOnly: source, isServersOwn: true, closedBecause: null },
    ];
  });
}

function planRelation(
  relation: RelationFacts,
  { masks, closed }: Derivation,
  facts: MaskFacts,
  mode: MaskMode,
  isPrepared: (functionName: string) => boolean,
): MaskedRelation | null {
  // Substitutes read the masking views, and no statement of a client does.
  if (relation.schema === MASKS_SCHEMA) return null;
  let closedBecause = closed.get(relation.oid) ?? null;
  const isMasked = relation.columns.some((column) => masks.has(column));
  if (!isMasked && closedBecause === null) return null;
  const prepared = mode === "guarded" ? preparedColumns(relation, facts) : null;
  const columns: PlannedColumn[] = [];
  for (const column of relation.columns) {
    const mask = masks.get(column);
    // A column that is newer than the masking view is closed until the database is prepared again.
    if (mask === undefined && prepared?.has(column.name) === false) continue;
    let shown = mask === undefined ? null : plannedMask(column, mask, relation, mode, prepared);
    if (mask !== undefined && shown === null) {
      closedBecause ??= `the type of its masked column "${column.name}" takes neither a constant nor NULL`;
    }
    if (shown !== null && mask?.predicates === "equality") {
      shown = { ...shown, comparison: comparisonOf(column, relation, mode, isPrepared) };
    }
    const { name, attnum } = column;
    const isGenerated = facts.generated.has(columnKey(relation.oid, attnum));
    columns.push({ name, attnum, mask: shown, ...(isGenerated ? { isGenerated } : {}) });
  }
  closedBecause ??= mode === "guarded" ? cannotBeGuarded(relation, facts) : null;
  return {
    oid: relation.oid,
    schema: relation.schema,
    name: relation.name,
    columns,
    ...sources(relation, mode),
    closedBecause,
  };
}

function plannedMask(
  column: ColumnFacts,
  { transform, predicates }: ColumnMask,
  relation: RelationFacts,
  mode: MaskMode,
  prepared: ReadonlySet<string> | null,
): PlannedColumn["mask"] {
  const constant = maskConstant(effectiveTransform(transform, column.type), column);
  if (constant === null) return null;
  if (mode === "inline") {
    return { constant, expression: inlineExpression(transform, column) ?? constant, predicates };
  }
  const names = relation.columns.map(({ name }) => name);
  const variant = viewColumn(transform, column, names);
  // Nothing stands in a view that was prepared for other masks: the constant shows less than any of them.
  if (variant === null) return { constant, expression: constant, predicates };
  if (prepared?.has(variant.name) === false)
    return { constant, expression: constant, awaits: variant.name, predicates };
  return { constant, expression: quoteQualified(variant.name), predicates };
}

/** How a column of `predicates: equality` is compared, or why it cannot be. */
function comparisonOf(
  column: ColumnFacts,
  relation: RelationFacts,
  mode: MaskMode,
  isPrepared: (functionName: string) => boolean,
): Comparison | { readonly because: string } {
  const type = comparedType(column.type);
  if (type === null) return { because: `values of its type ${column.type.sql} are not compared` };
  if (mode === "inline") return { types: type.from, functions: null };
  const { schema, name } = relation;
  const whole = comparisonName(schema, name, column.name);
  const only = relation.children.length > 0 ? comparisonName(schema, name, column.name, true) : whole;
  if (!isPrepared(whole) || !isPrepared(only)) return { because: "the database is not prepared for that yet" };
  return { types: type.from, functions: { whole: comparisonFunction(whole), only: comparisonFunction(only) } };
}

/** The columns of a relation's masking view; null: it has none yet. */
function preparedColumns({ schema, name }: RelationFacts, facts: MaskFacts): ReadonlySet<string> | null {
  const view = facts.relation(MASKS_SCHEMA, maskingViewName(schema, name));
  return view === undefined ? null : new Set(view.columns.map((column) => column.name));
}

/** What a substitute selects from. Only tables have children to leave out. */
function sources(relation: RelationFacts, mode: MaskMode): Pick<MaskedRelation, "source" | "sourceOnly" | "itself"> {
  const { schema, name } = relation;
  const isTable = relation.kind !== "view" && relation.kind !== "materialized view";
  if (mode === "inline") {
    const source = quoteQualified(schema, name);
    return { source, sourceOnly: isTable ? `ONLY ${source}` : source };
  }
  const source = quoteQualified(MASKS_SCHEMA, maskingViewName(schema, name));
  const only = quoteQualified(MASKS_SCHEMA, maskingViewName(schema, name, true));
  const isStored = relation.kind === "table" || relation.kind === "partitioned table";
  const itself = isStored ? { itself: quoteQualified(schema, name) } : {};
  return { source, sourceOnly: relation.children.length > 0 ? only : source, ...itself };
}

/** Why a masking view would not show what the relation shows to whoever asks; null when it does. */
function cannotBeGuarded(relation: RelationFacts, facts: MaskFacts): string | null {
  if (relation.hasRowSecurity) {
    return "it has row level security, which would be decided for the masking views' owner";
  }
  if (relation.isSecurityInvoker) {
    return "it is a view that reads with its reader's rights (security_invoker), who has none to raw values";
  }
  for (const member of [relation, ...descendants(relation, facts)]) {
    if (member.kind === "foreign table") {
      return "it is a foreign table, or has one among its children: the masking views' owner would be the one to log in to its server";
    }
  }
  return null;
}

/** As plans name them, `schema.name`. */
function safeFunctionNames(written: readonly string[]): ReadonlySet<string> {
  const names = written.flatMap((text) => functionNameOf(text) ?? []);
  return new Set(names.map(({ schema, name }) => joinIdentifier(schema, name)));
}

class Plan implements MaskingPlan {
  readonly digest: string;
  readonly mode: MaskMode;
  readonly safeFunctions: ReadonlySet<string>;
  readonly listenChannels: ReadonlySet<string>;
  readonly searchPath: readonly string[] | null;
  readonly #relations = new Map<string, Map<string, MaskedRelation>>();
  readonly #names: ReadonlySet<string>;
  /** By `schema.name`. */
  readonly #tied: ReadonlyMap<string, ReadonlySet<string>>;
  /** Attribute numbers of masked columns by table. */
  readonly #origins = new Map<number, ReadonlySet<number>>();

  constructor(
    relations: readonly MaskedRelation[],
    tied: ReadonlyMap<string, ReadonlySet<string>>,
    settings: PlanSettings,
    safeFunctions: ReadonlySet<string>,
  ) {
    this.mode = settings.mode;
    this.#tied = tied;
    this.safeFunctions = safeFunctions;
    this.listenChannels = new Set(settings.listenChannels);
    this.searchPath = settings.searchPath;
    this.#names = new Set(relations.map(({ name }) => name));
    for (const relation of relations) {
      const inSchema = this.#relations.get(relation.schema);
      if (inSchema === undefined) this.#relations.set(relation.schema, new Map([[relation.name, relation]]));
      else inSchema.set(relation.name, relation);
      const masked = relation.columns.filter(({ mask }) => mask !== null || relation.closedBecause !== null);
      this.#origins.set(relation.oid, new Set(masked.map(({ attnum }) => attnum)));
    }
    const ties = sorted([...tied].map(([name, columns]) => `${name} ${JSON.stringify(sorted(columns))}`));
    const { mode, searchPath } = this;
    const lists = [sorted(this.safeFunctions), sorted(this.listenChannels), searchPath];
    const contents = [mode, ...lists, byOid(relations), ties];
    this.digest = createHash("sha256").update(JSON.stringify(contents)).digest("hex");
  }

  relation(schema: string, name: string): MaskedRelation | undefined {
    return this.#relations.get(schema)?.get(name);
  }

  hasName(name: string): boolean {
    return this.#names.has(name);
  }

  tiedColumns(schema: string, name: string): ReadonlySet<string> | undefined {
    return this.#tied.get(joinIdentifier(schema, name));
  }

  isMaskedOrigin(tableOid: number, attnum: number): boolean {
    return this.#origins.get(tableOid)?.has(attnum) ?? false;
  }
}

function sorted(names: Iterable<string>): string[] {
  return [...names].toSorted();
}

function byOid(relations: readonly MaskedRelation[]): MaskedRelation[] {
  return relations.toSorted((a, b) => a.oid - b.oid);
}
