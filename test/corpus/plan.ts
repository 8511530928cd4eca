/** A masking plan over the corpus's catalog, written by hand, for tests of what masks make of statements. */
import { maskedColumns } from "./masking.ts";
import type { Catalog, Relation } from "../../adapters/postgres/catalog.ts";
import type { MaskedRelation, MaskingPlan, MaskMode, PlannedColumn } from "../../adapters/postgres/mask/plan.ts";
import { quoteIdentifier, quoteQualified } from "../../adapters/postgres/quote.ts";

export type PlanOptions = {
  readonly mode?: MaskMode;
  /** Columns that conditions may not look at, as `schema.relation.column`. */
  readonly kept?: readonly string[];
  /** Relations that are closed, each with the reason. */
  readonly closed?: Readonly<Record<string, string>>;
  /** Relations that have no source without their children. */
  readonly childless?: readonly string[];
  /** Relations of which some rows are not shown: their source is `filtered`. */
  readonly filtered?: readonly string[];
  /** Beside the corpus's own, as `schema.name`. */
  readonly safeFunctions?: readonly string[];
  /** Left out: app and public. */
  readonly searchPath?: readonly string[] | null;
};

const RELATIONS = [
  "app.customers",
  "app.customers_vip",
  "app.contacts",
  "app.events",
  "app.events_2024",
  "app.events_2025",
  "app.customer_audit",
  "app.customer_directory",
  "app.customer_doc",
  "app.customer_nested",
  "app.customer_mv",
];

/** The masks of masked.json; in guarded mode `email` is shown by a column of its view, all others by constants. */
export function corpusPlan(catalog: Catalog, options: PlanOptions = {}): MaskingPlan {
  const { mode = "guarded" } = options;
  const masked = maskedColumns();
  const relations = new Map<string, MaskedRelation>();
  for (const full of RELATIONS) {
    const [schema = "", name = ""] = full.split(".");
    const relation = catalog.relation(schema, name);
    if (relation) relations.set(full, plannedRelation(relation, full, masked, mode, options));
  }
  for (const full of options.filtered ?? []) {
    const [schema = "", name = ""] = full.split(".");
    const relation = catalog.relation(schema, name);
    if (!relation) continue;
    const planned = plannedRelation(relation, full, masked, mode, options);
    relations.set(full, { ...planned, source: "filtered", sourceOnly: null, hidesRows: true });
  }
  return {
    digest: JSON.stringify(options),
    mode,
    relation: (schema, name) => relations.get(`${schema}.${name}`),
    hasName: (name) => [...relations.values()].some((relation) => relation.name === name),
    isMaskedOrigin: () => false,
    tiedColumns: () => undefined,
    safeFunctions: new Set(["app.order_total", "app.add_tax", ...(options.safeFunctions ?? [])]),
    listenChannels: new Set(["jobs"]),
    searchPath: options.searchPath === undefined ? ["app", "public"] : options.searchPath,
  };
}

function plannedRelation(
  { oid, schema, name, kind, columns }: Relation,
  full: string,
  masked: ReadonlySet<string>,
  mode: MaskMode,
  { kept = [], closed = {}, childless = [] }: PlanOptions,
): MaskedRelation {
  const source = mode === "inline" ? quoteQualified(schema, name) : quoteQualified("weir_masks", full);
  const sourceOnly = mode === "inline" ? `ONLY ${source}` : quoteQualified("weir_masks", `${full} (only)`);
  return {
    oid,
    schema,
    name,
    columns: columns.map((column, index) => {
      const mask = masked.has(`${full}.${column}`) ? plannedMask(column, mode) : null;
      if (mask && kept.includes(`${full}.${column}`))
        return { name: column, attnum: index + 1, mask: { ...mask, predicates: "deny" } };
      if (column === "alt_local") return { name: column, attnum: index + 1, isGenerated: true, mask };
      return { name: column, attnum: index + 1, mask };
    }),
    source,
    sourceOnly: childless.includes(full) ? null : sourceOnly,
    ...(mode === "guarded" && kind.endsWith("table") ? { itself: quoteQualified(schema, name) } : {}),
    closedBecause: closed[full] ?? null,
  };
}

function plannedMask(column: string, mode: MaskMode): PlannedColumn["mask"] {
  const type = column === "notes" || column === "old_row" || column === "doc" ? "jsonb" : "text";
  const constant = type === "jsonb" ? "'{}'::jsonb" : `'***'::text`;
  const isVariant = mode === "guarded" && column === "email";
  return { constant, expression: isVariant ? quoteIdentifier("email (hash)") : constant, predicates: "masked" };
}
