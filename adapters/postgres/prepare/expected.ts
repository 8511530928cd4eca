/** What guarded mode expects of a database: which columns the governed login must not read, and the views that mask them. */
import { createHash } from "node:crypto";
import type { MaskTransform } from "../../../src/core/obligation.ts";
import type { Access } from "../../../src/core/operation.ts";
import type { RelationKind } from "../catalog.ts";
import type { ColumnMask, PolicyMasks } from "../mask/derive.ts";
import type { ColumnFacts, MaskFacts, RelationFacts } from "../mask/facts.ts";
import { makePlan } from "../mask/make-plan.ts";
import { maskConstant, viewColumn, type ViewColumn } from "../mask/transforms.ts";
import { maskQuestions, type ListedCatalog, type MaskQuestions } from "../mask/subject-masks.ts";
import { maskingViewName } from "../mask/view-names.ts";
import { MASKS_SCHEMA, type MaskingSettings } from "../masking-settings.ts";
import { quoteIdentifier, quoteQualified } from "../quote.ts";
import { expectedComparison, type ExpectedComparison } from "./comparisons.ts";

/** A masking view in MASKS_SCHEMA. */
export type ExpectedView = {
  readonly name: string;
  /** Its query. */
  readonly sql: string;
  /** Lower-case hex SHA-256 of `sql`. */
  readonly digest: string;
  readonly columns: readonly ExpectedViewColumn[];
};

export type ExpectedViewColumn = {
  readonly name: string;
  /** The column of the relation that it shows; whoever may not read that one may not read this. */
  readonly of: string;
  /** A column that cannot be written through the view, whatever the rights. */
  readonly isConstant: boolean;
};

/** A relation that somebody sees masked, or that nobody governed may mention. */
export type ExpectedRelation = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  /** Null: it may be mentioned, and has masking views. */
  readonly closedBecause: string | null;
  /** In order. */
  readonly columns: readonly { readonly name: string; readonly attnum: number; readonly isMasked: boolean }[];
  /** Empty when it is closed; else that of the relation, and that of the relation without its children if it has any. */
  readonly views: readonly ExpectedView[];
  /** The functions that compare its columns, by column. */
  readonly comparisons: readonly ExpectedComparison[];
};

export type Expected = {
  readonly database: string;
  /** The governed login. */
  readonly user: string;
  readonly searchPath: readonly string[];
  /** `schema.name(types)`, as the configuration has them. */
  readonly safeFunctions: readonly string[];
  /** By schema and name. */
  readonly relations: readonly ExpectedRelation[];
};

/** By oid of the relation and name of the column: every transform that policy could lay on it for anybody; not empty. */
type PolicyTransforms = ReadonlyMap<number, ReadonlyMap<string, readonly MaskTransform[]>>;

/** A target in guarded mode: its login is there. */
export type GuardedSettings = MaskingSettings & { readonly mode: "guarded"; readonly user: string };

/** What policy could lay on each access, for anybody on one target. */
export type PossibleMasks = {
  /** Policy.maskTransforms */
  transforms(accesses: readonly Access[]): readonly (readonly MaskTransform[])[];
  /** Policy.mayCompare */
  comparisons(accesses: readonly Access[]): readonly boolean[];
};

/** What policy wants of a database; `catalog` and `facts` are of the same state of it. */
export function expectedIn(
  facts: MaskFacts,
  catalog: ListedCatalog,
  database: string,
  possible: PossibleMasks,
  settings: GuardedSettings,
): Expected {
  const questions = maskQuestions(catalog, database);
  const transforms = transformsByRelation(questions, possible.transforms(questions.accesses));
  const compared = comparedByRelation(questions, possible.comparisons(questions.accesses));
  return expectedOf(facts, transforms, compared, settings, database);
}

/** By oid of the relation: the names of its columns that policy lets be compared. */
type PolicyComparisons = ReadonlyMap<number, ReadonlySet<string>>;

function comparedByRelation({ columns }: MaskQuestions, answers: readonly boolean[]): PolicyComparisons {
  const found = new Map<number, Set<string>>();
  for (const [index, { relation, column }] of columns.entries()) {
    if (answers[index] !== true) continue;
    const known = found.get(relation.oid);
    if (known === undefined) found.set(relation.oid, new Set([column]));
    else known.add(column);
  }
  return found;
}

function transformsByRelation(
  { columns }: MaskQuestions,
  answers: readonly (readonly MaskTransform[])[],
): PolicyTransforms {
  const found = new Map<number, Map<string, readonly MaskTransform[]>>();
  for (const [index, { relation, column }] of columns.entries()) {
    const transforms = answers[index] ?? [];
    if (transforms.length === 0) continue;
    const known = found.get(relation.oid);
    if (known === undefined) found.set(relation.oid, new Map([[column, transforms]]));
    else known.set(column, transforms);
  }
  return found;
}

/** What must be prepared for all subjects together. */
function expectedOf(
  facts: MaskFacts,
  transforms: PolicyTransforms,
  compared: PolicyComparisons,
  settings: GuardedSettings,
  database: string,
): Expected {
  const all = makePlan(facts, everythingRedacted(transforms), settings);
  const relations: ExpectedRelation[] = [];
  for (const relation of facts.relations.values()) {
    const planned = all?.relation(relation.schema, relation.name);
    // The masking views themselves are not for statements, and the self-check looks at them in its own way.
    if (planned === undefined || planned.isServersOwn === true || relation.schema === MASKS_SCHEMA) continue;
    const masked = new Set(planned.columns.filter(({ mask }) => mask !== null).map(({ name }) => name));
    const views = planned.closedBecause === null ? viewsOf(relation, masked, transforms.get(relation.oid)) : [];
    const comparable = relation.columns.filter(
      ({ name }) => masked.has(name) && compared.get(relation.oid)?.has(name) === true,
    );
    relations.push({
      oid: relation.oid,
      schema: relation.schema,
      name: relation.name,
      kind: relation.kind,
      closedBecause: planned.closedBecause,
      columns: relation.columns.map(({ name, attnum }) => ({ name, attnum, isMasked: masked.has(name) })),
      views,
      comparisons: comparable.flatMap((column) => comparisonsOf(relation, column, views)),
    });
  }
  relations.sort((a, b) => compare(a.schema, b.schema) || compare(a.name, b.name));
  const { user, searchPath, safeFunctions } = settings;
  return { database, user, searchPath, safeFunctions, relations };
}

/** One for each view of the relation. */
function comparisonsOf(
  { schema, name }: RelationFacts,
  column: ColumnFacts,
  views: readonly ExpectedView[],
): readonly ExpectedComparison[] {
  return views.flatMap((view, index) => expectedComparison(schema, name, column, view, index > 0) ?? []);
}

function everythingRedacted(transforms: PolicyTransforms): PolicyMasks {
  const redacted: ColumnMask = { transform: { with: "redact" }, predicates: "masked" };
  return new Map(
    [...transforms].map(([oid, columns]) => [oid, new Map([...columns.keys()].map((name) => [name, redacted]))]),
  );
}

function viewsOf(
  relation: RelationFacts,
  masked: ReadonlySet<string>,
  transforms: ReadonlyMap<string, readonly MaskTransform[]> = new Map(),
): ExpectedView[] {
  const own = relation.columns.map(({ name }) => name);
  const columns: (ExpectedViewColumn & { readonly expression: string })[] = [];
  for (const column of relation.columns) {
    const { name } = column;
    const constant = masked.has(name) ? maskConstant({ with: "redact" }, column) : null;
    columns.push({ name, of: name, isConstant: constant !== null, expression: constant ?? quoteIdentifier(name) });
  }
  for (const column of relation.columns) {
    // What derives from a masked column is redacted, which takes no column of its own.
    for (const { name, expression } of variantsOf(column, transforms.get(column.name) ?? [], own)) {
      columns.push({ name, of: column.name, isConstant: false, expression });
    }
  }
  const list = columns.map(({ name, expression }) => `  ${expression} AS ${quoteIdentifier(name)}`).join(",\n");
  const source = quoteQualified(relation.schema, relation.name);
  const make = (from: string, only: boolean): ExpectedView => {
    const sql = `SELECT\n${list}\nFROM ${from}`;
    return {
      name: maskingViewName(relation.schema, relation.name, only),
      sql,
      digest: createHash("sha256").update(sql).digest("hex"),
      columns: columns.map(({ name, of, isConstant }) => ({ name, of, isConstant })),
    };
  };
  const whole = make(source, false);
  return relation.children.length > 0 ? [whole, make(`ONLY ${source}`, true)] : [whole];
}

/** In an order that does not depend on that of rules. */
function variantsOf(
  column: ColumnFacts,
  transforms: readonly MaskTransform[],
  own: readonly string[],
): readonly ViewColumn[] {
  const found = transforms.flatMap((transform) => viewColumn(transform, column, own) ?? []);
  return [...new Map(found.map((variant) => [variant.name, variant])).values()].toSorted((a, b) =>
    compare(a.name, b.name),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
