/** What masks have to know of a statement while it is read: where relations stand in its text, and what it does with them. */
import type { Fields } from "../parser.ts";
import { pinnedPath } from "../mask/startup-settings.ts";
import { quoteText } from "../quote.ts";
import type { MaskedRelation, MaskingPlan } from "../mask/plan.ts";
import { functionRefusal } from "../mask/governed-functions.ts";
import type { Governed } from "../mask/govern.ts";
import type { Edit } from "../mask/splice.ts";
import { signatureOf } from "../mask/statement-masking.ts";
import type { StatementMasking } from "../mask/statement-masking.ts";
import type { Comparison } from "../mask/comparison.ts";
import type { RelationUse } from "./collector.ts";
import type { ColumnComparison } from "./column-comparison.ts";
import type { ResolvedRelation } from "./resolver.ts";
import type { BaseColumn, Level } from "./scope.ts";
import { TargetReference } from "./target-reference.ts";
import { TrackedColumns } from "./tracked-columns.ts";

/** No byte of a text. */
const NOWHERE = -1;

/** Why a governed session may not run a statement, and what to do about it; for people. */
export type MaskRefusal = NonNullable<StatementMasking["refusal"]>;

/** The server keeps a statement as it was written under another catalog, in which other relations were masked. */
export const OUTDATED: MaskRefusal = {
  message: "what it reads has changed since it was prepared",
  hint: "Prepare it again.",
};

/** TABLESAMPLE of a source. */
export type Sample = {
  /** The same as SQL that means the same at another place; null: it is not made of numbers and parameters alone. */
  readonly clause: string | null;
};

/** A masked relation in source position: what is read from it can be put in its place. */
export type SourceReference = {
  /** In bytes of the text. */
  readonly at: number;
  readonly use: RelationUse;
  readonly relation: MaskedRelation;
  /** By what the statement calls it: its alias or its own name. */
  readonly name: string;
  readonly isOnly: boolean;
  /** Its TABLESAMPLE. */
  sample: Sample | null;
  /** Where a `*` stands for its columns alone, in bytes of the text. */
  readonly stars: number[];
  /** An outer join may show NULL in the place of its rows. */
  isOptional: boolean;
};

/** `column = $n`, which finds rows of a source by a masked column. */
type ComparisonReference = {
  readonly source: SourceReference;
  readonly column: string;
  readonly parameter: number;
  readonly comparison: Comparison;
  /** Of the column's name, in bytes of the text. */
  readonly at: number;
};

/** COPY rel TO STDOUT of a masked relation. */
export type CopyReference = {
  readonly at: number;
  readonly use: RelationUse;
  readonly relation: MaskedRelation;
  /** Those listed; empty: all. */
  readonly columns: readonly string[];
};

/** A column that is named with the schema of its source. */
type SchemaName = {
  readonly at: number;
  readonly source: SourceReference;
  /** The same without the schema. */
  readonly expression: string;
  readonly isAmbiguous: boolean;
};

/** Gathered for one statement of a governed session; a session without masks has none. */
export class References {
  readonly plan: MaskingPlan;
  readonly sources: SourceReference[] = [];
  readonly targets: TargetReference[] = [];
  readonly copies: CopyReference[] = [];
  /** Columns changed that are not masked, whose change may fail by what stands in a masked one. */
  readonly tiedWrites = new Map<ResolvedRelation, Set<string>>();
  readonly schemaNames: SchemaName[] = [];
  /** Sources of one level that share a name, which only their schemas tell apart. */
  readonly namesakes: SourceReference[] = [];
  /** In the order of the text; empty where none is allowed. */
  readonly comparisons: ComparisonReference[] = [];
  /** What is read now is a query of the one statement of a text, which nothing but the extended protocol can run. */
  mayCompare = false;
  /** What is replaced whatever else the statement does. */
  readonly edits: Edit[] = [];
  /** An option of EXPLAIN that may show more than a plan. */
  explainOption: string | null = null;
  hidesDetail = false;
  isInCondition = false;
  /** It shows rows of another statement, whose masks have raw rows behind them. */
  showsOther = false;
  /** RETURNING shows constants in the place of masked columns. */
  showsConstants = false;
  #captured: BaseColumn[] | null = null;
  #refusal: MaskRefusal | null = null;

  constructor(plan: MaskingPlan) {
    this.plan = plan;
  }

  /** The first reason. */
  get refusal(): MaskRefusal | null {
    return this.#refusal;
  }

  refuse(message: string, hint: string): void {
    this.#refusal ??= { message, hint };
  }

  /** What is read now is looked at to choose, to order or to group rows. */
  condition(read: () => void): void {
    const before = this.isInCondition;
    this.isInCondition = true;
    read();
    this.isInCondition = before;
  }

  /** `read` reads what is no query: nothing in it compares. */
  withoutComparisons<T>(read: () => T): T {
    const before = this.mayCompare;
    this.mayCompare = false;
    const result = read();
    this.mayCompare = before;
    return result;
  }

  /** A condition that compares a column of a source with a parameter. False: it does so as any condition would. */
  compares({ source, column, parameter, name }: ColumnComparison): boolean {
    if (!this.mayCompare || source.isOptional || source.sample !== null) return false;
    const comparison = source.relation.columns.find((planned) => planned.name === column)?.mask?.comparison;
    if (comparison === undefined || "because" in comparison) return false;
    this.comparisons.push({ source, column, parameter, comparison, at: locationOf(name) });
    // It looks at the column, and neither shows it nor looks at its mask.
    const [captured, isInCondition] = [this.#captured, this.isInCondition];
    this.#captured = null;
    this.isInCondition = false;
    source.use.columns.add(column);
    this.#captured = captured;
    this.isInCondition = isInCondition;
    return true;
  }

  /** The columns kept out of conditions that `read` names. */
  keptOutOf(read: () => void): readonly BaseColumn[] {
    const before = this.#captured;
    const captured: BaseColumn[] = [];
    this.#captured = captured;
    read();
    this.#captured = before;
    before?.push(...captured);
    return captured;
  }

  get isCapturing(): boolean {
    return this.#captured !== null;
  }

  capture(column: BaseColumn): void {
    this.#captured?.push(column);
  }

  /** The columns of a new use of a relation. */
  columnsOf(relation: ResolvedRelation): Set<string> {
    const masked = this.masked(relation);
    return masked ? new TrackedColumns(this, masked) : new Set();
  }

  /** What masks hide of a relation; undefined: nothing. */
  masked(relation: ResolvedRelation): MaskedRelation | undefined {
    return relation.schema === null ? undefined : this.plan.relation(relation.schema, relation.own);
  }

  /** A RangeVar that is read. Null: nothing of it is masked. */
  source(range: Fields, use: RelationUse, alias: string | null): SourceReference | null {
    const relation = this.masked(use.relation);
    if (relation === undefined) return null;
    const name = alias ?? relation.name;
    const isOnly = range["inh"] !== true;
    const at = locationOf(range);
    const reference: SourceReference = { at, use, relation, name, isOnly, sample: null, stars: [], isOptional: false };
    this.sources.push(reference);
    return reference;
  }

  /** `read` reads a `*` of a select list that stands for the columns of one source: they can be listed instead. */
  star(column: Fields, source: SourceReference, read: () => void): void {
    const { isWhole } = source.use;
    source.stars.push(locationOf(column));
    read();
    source.use.isWhole = isWhole;
  }

  /** Sources that are in sight together: those that only their schemas tell apart are not told apart once replaced. */
  level({ sources }: Level): void {
    for (const source of sources) {
      const { reference, name } = source;
      if (reference && sources.some((other) => other !== source && other.name === name)) this.namesakes.push(reference);
    }
  }

  /** A named query of a WITH clause. */
  namedQuery(name: string): void {
    if (!this.plan.hasName(name)) return;
    this.refuse(
      `a WITH query named "${name}" would stand before a masked relation of that name`,
      "Give the WITH query another name.",
    );
  }

  /** Another statement of the same text, which this one holds. */
  include({ refusal, edits, hidesDetail }: Governed): void {
    this.#refusal ??= refusal;
    this.edits.push(...edits);
    this.hidesDetail ||= hidesDetail;
  }

  /** It runs a statement of another text, as that was sent: no more than it would be sent as now. */
  runs(now: Governed | null, sent: StatementMasking | null): void {
    this.hidesDetail ||= now?.hidesDetail ?? true;
    this.#refusal ??= now?.refusal ?? null;
    this.showsOther ||= now?.raw.kind !== "nothing";
    if (now === null || sent === null || sent.signature !== signatureOf(now.edits)) this.#refusal ??= OUTDATED;
  }

  /** It goes on with a statement that was begun before. Null: nothing is known of that. */
  continues(masking: StatementMasking | null): void {
    this.hidesDetail ||= masking === null || masking.hidesDetail;
    this.showsOther ||= masking?.raw.kind !== "nothing";
    if (masking === null) this.refuse("the cursor's query is not known", "Open the cursor again.");
    else if (masking.compares !== null)
      this.refuse(
        "a portal that compares a masked column is run by the protocol's Execute alone",
        "Execute it, with a limit of rows if it is to come in parts.",
      );
    else this.#refusal ??= masking.refusal;
  }

  /** The relation that a modification changes. Null: nothing of it is masked. */
  target(resolved: ResolvedRelation): TargetReference | null {
    const relation = this.masked(resolved);
    if (relation === undefined) return null;
    const reads: RelationUse = {
      verb: "select",
      class: "read",
      relation: resolved,
      columns: this.columnsOf(resolved),
      columnsUnknown: false,
      unfiltered: null,
      locked: false,
      isWhole: false,
    };
    const target = new TargetReference(relation, reads);
    this.targets.push(target);
    return target;
  }

  /** A column is changed in rows that are there. */
  changes(relation: ResolvedRelation, column: string): void {
    const { schema, own } = relation;
    if (schema === null || this.plan.tiedColumns(schema, own)?.has(column) !== true) return;
    const known = this.tiedWrites.get(relation);
    if (known === undefined) this.tiedWrites.set(relation, new Set([column]));
    else known.add(column);
  }

  /**
   * search_path is set to these names, or to none that can be told. True: it is what it is pinned to, and what is sent
   * says all of it in the gateway's own words, whatever the client's are to the server; `put` says it at its place.
   */
  repins(names: readonly (string | null)[] | null, put: (path: readonly string[]) => void): boolean {
    const { searchPath } = this.plan;
    if (searchPath === null || names === null) return false;
    const path = pinnedPath(searchPath);
    const isWhole = names.length === path.length;
    // Without the schema of temporary relations it is what the configuration says, and what people write.
    if (!isWhole && names.length !== searchPath.length) return false;
    if (!names.every((name, index) => name === path[index])) return false;
    put(path);
    return true;
  }

  /** Puts string constants in the place of one. */
  constants(constant: Fields, texts: readonly string[]): void {
    this.edits.push({ kind: "constant", at: locationOf(constant), constants: texts.map(quoteText).join(", ") });
  }

  /** A call is answered as if it was of NULL. */
  callsOfNull(call: Fields, expression: string): void {
    this.edits.push({ kind: "call", at: locationOf(call), expression });
  }

  /** current_setting(), which may be declared safe. */
  callsSetting(name: string | null): void {
    if (!this.plan.safeFunctions.has("pg_catalog.current_setting")) this.readsSetting(name);
  }

  /** Functions keep values in settings of their own names, which have a dot. Null: it is not known which. */
  readsSetting(name: string | null): void {
    if (name !== null && !name.includes(".")) return;
    const which = name === null ? "a setting whose name is computed" : `the setting "${name}"`;
    this.refuse(
      `${which} cannot be read while columns are masked: functions may keep values in it`,
      "Name one of the server's own settings, as a constant.",
    );
  }

  /** CALL: each procedure that may be meant, as `schema.name`. */
  calls(procedures: readonly string[]): void {
    this.hidesDetail = true;
    for (const name of procedures) {
      const refusal = functionRefusal(name, this.plan);
      if (refusal) this.refuse(refusal.message, refusal.hint);
    }
  }

  copy(range: Fields, use: RelationUse, columns: readonly string[]): void {
    const relation = this.masked(use.relation);
    if (relation === undefined) return;
    this.copies.push({ at: locationOf(range), use, relation, columns });
  }

  /** A column named with its source's schema, which that has no longer once it is replaced. */
  schemaName(column: Fields, source: SourceReference, expression: string, isAmbiguous: boolean): void {
    this.schemaNames.push({ at: locationOf(column), source, expression, isAmbiguous });
  }

  /** Puts other text in the place of a column or of an item of a list. */
  edit(kind: "column" | "targets", column: Fields, text: string): void {
    const at = locationOf(column);
    this.showsConstants = true;
    this.edits.push(kind === "column" ? { kind, at, expression: text } : { kind, at, targets: text });
  }
}

function locationOf(fields: Fields): number {
  // The tree leaves out zero; where there is nothing, nothing can be replaced, and the statement is refused.
  const location = fields["location"] ?? 0;
  return typeof location === "number" ? location : NOWHERE;
}
