/** Decides what masks make of one statement: refused, run with other text in some places, or run as it is. */
import type { Access, FactValue } from "../../../src/core/operation.ts";
import type { Reading } from "../analysis.ts";
import { quoteIdentifier, quoteQualified } from "../quote.ts";
import { classOf, type Verb } from "../vocabulary.ts";
import type { Collector, RelationUse } from "../describe/collector.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import type { CopyReference, MaskRefusal, References, SourceReference } from "../describe/references.ts";
import { isSystemColumn, READABLE_SYSTEM_COLUMNS } from "../describe/scope.ts";
import { isKeptOut, TrackedColumns } from "../describe/tracked-columns.ts";
import type { Node } from "../describe/tree.ts";
import { comparedSource, type Compared, type Comparison } from "./comparison.ts";
import { catalogRefusal } from "./governed-catalog.ts";
import { functionRefusal, isBuiltIn } from "./governed-functions.ts";
import { outputList } from "./output-list.ts";
import type { MaskedRelation, MaskingPlan } from "./plan.ts";
import { rawShape, SHOWS_NOTHING_MASKED, type MaskedRead, type RawShape } from "./raw-shape.ts";
import type { Edit } from "./splice.ts";

/** What masks make of one statement. */
export type Governed = {
  readonly refusal: MaskRefusal | null;
  readonly edits: readonly Edit[];
  /** Writing masked columns, one access per relation and verb: only a permit that names them lets it pass. */
  readonly writes: readonly Access[];
  readonly hidesDetail: boolean;
  readonly raw: RawShape;
  /** The comparison, and its access, by which policy and the record know of it. */
  readonly compares: { readonly compared: Compared; readonly access: Access } | null;
};

/** What could not be read is never run. */
export function notRead(because: string): MaskRefusal {
  return {
    message: `a statement that the gateway cannot read does not run while columns are masked: ${because}`,
    hint: "Check the names in it; what was created a moment ago is known some seconds later. Or write it in a simpler way.",
  };
}

/** A masked relation that the statement mentions, with all uses of it. */
type Mention = { readonly relation: MaskedRelation; readonly uses: RelationUse[] };

/** What was gathered in `references` and `collector`, once the statement was read to its end. */
export function govern(statement: Node, references: References, collector: Collector, reading: Reading): Governed {
  const mentions = mentionsOf(references, collector);
  const hidesDetail =
    references.hidesDetail ||
    [...mentions.keys()].some(({ isServersOwn }) => isServersOwn !== true) ||
    [...collector.functions].some((name) => !isBuiltIn(name)) ||
    changesView(collector, reading);
  const edits: Edit[] = [...references.edits];
  const refusal =
    references.refusal ??
    (collector.unresolved === null ? null : notRead(collector.unresolved)) ??
    refusalOfMentions(mentions, references) ??
    refusalOfComparisons(references) ??
    refusalOfOthers(references.plan, collector) ??
    refusalOfTargets(references) ??
    substitute(references, mentions, edits) ??
    copyOut(references, mentions, reading, edits);
  if (refusal !== null)
    return { refusal, edits: [], writes: [], hidesDetail: true, raw: SHOWS_NOTHING_MASKED, compares: null };
  const writes = writesOf(references, collector, reading);
  const raw = rawShape(statement, references, maskedReads(mentions));
  return { refusal, edits, writes, hidesDetail, raw, compares: comparedBy(references, reading) };
}

/** The masked columns that a statement reads, of each relation; what it changes is looked at apart. */
function maskedReads(mentions: ReadonlyMap<MaskedRelation, Mention>): MaskedRead[] {
  return [...mentions.values()].flatMap(({ relation, uses }) => {
    if (relation.isServersOwn === true) return [];
    const reads = uses.filter((use) => use.class !== "write");
    if (!reads.some((use) => touches(use, relation))) return [];
    const isAll = reads.some((use) => use.columnsUnknown);
    const masked = relation.columns.filter(({ mask }) => mask !== null).map(({ name }) => name);
    return [{ relation, columns: masked.filter((name) => isAll || reads.some((use) => use.columns.has(name))) }];
  });
}

/** Its errors tell of the rows of the relation behind the view. */
function changesView({ uses }: Collector, { catalog }: Reading): boolean {
  return [...uses].some(({ class: accessClass, relation: { schema, own } }) => {
    return accessClass === "write" && schema !== null && catalog?.relation(schema, own)?.kind === "view";
  });
}

function mentionsOf(references: References, collector: Collector): Map<MaskedRelation, Mention> {
  const mentions = new Map<MaskedRelation, Mention>();
  const mention = (relation: MaskedRelation, use: RelationUse): void => {
    const known = mentions.get(relation);
    if (known) known.uses.push(use);
    else mentions.set(relation, { relation, uses: [use] });
  };
  for (const use of collector.uses) {
    const relation = references.masked(use.relation);
    if (relation) mention(relation, use);
  }
  for (const { relation, reads } of references.targets) mention(relation, reads);
  return mentions;
}

function refusalOfMentions(mentions: ReadonlyMap<MaskedRelation, Mention>, references: References): MaskRefusal | null {
  for (const { relation, uses } of mentions.values()) {
    const name = fullName(relation);
    if (relation.closedBecause !== null) {
      return {
        message: `relation "${name}" cannot be used while columns are masked: ${relation.closedBecause}`,
        hint: "Ask whoever looks after the gateway, or work without it.",
      };
    }
    if (references.explainOption !== null && relation.isServersOwn !== true) {
      return {
        message: `EXPLAIN with the option ${references.explainOption} is refused on "${name}", which has masked columns`,
        hint: "Leave the option out.",
      };
    }
    for (const { name: column, mask } of relation.columns.filter(isKeptOut)) {
      if (!uses.some((use) => use.columns instanceof TrackedColumns && use.columns.inConditions.has(column))) continue;
      if (mask?.comparison !== undefined) return onlyCompared(`${name}.${column}`, mask.comparison);
      return {
        message: `column "${name}.${column}" is masked, and policy keeps it out of conditions, orders and groups`,
        hint: "Choose rows by other columns; in the select list its mask is shown.",
      };
    }
  }
  return null;
}

const HOW_TO_COMPARE =
  "Write `column = $1` beside other conditions under AND in the WHERE of a SELECT, once, with a parameter of the extended protocol alone, and not on the optional side of an outer join.";

function onlyCompared(column: string, comparison: Comparison | { readonly because: string }): MaskRefusal {
  if ("because" in comparison) {
    return {
      message: `column "${column}" is masked, and cannot be compared either: ${comparison.because}`,
      hint: "Choose rows by other columns; in the select list its mask is shown.",
    };
  }
  return {
    message: `column "${column}" is masked, and policy lets conditions only compare it with a parameter`,
    hint: HOW_TO_COMPARE,
  };
}

/** One execution is one guess: of one value, of one column. */
function refusalOfComparisons({ comparisons, plan }: References): MaskRefusal | null {
  const [first, second] = comparisons;
  if (first === undefined) return null;
  const { source, column } = first;
  const name = `${fullName(source.relation)}.${column}`;
  if (second !== undefined) {
    return {
      message: `column "${name}" is masked, and a statement may compare one masked column, once`,
      hint: HOW_TO_COMPARE,
    };
  }
  if (plan.mode === "guarded" && source.use.locked) {
    return {
      message: `column "${name}" is masked, and rows that are found by comparing it cannot be locked`,
      hint: "Leave FOR UPDATE and its like out, or lock the rows by their key in a statement of its own.",
    };
  }
  return null;
}

/** What a comparison is in the record, and to policy: a read of the column that it looks at. */
function comparedBy({ comparisons }: References, { database }: Reading): Governed["compares"] {
  const [first] = comparisons;
  if (first === undefined) return null;
  const { source, column, parameter, comparison } = first;
  const name = fullName(source.relation);
  const full = `${name}.${joinIdentifier(column)}`;
  const facts = {
    databases: [database],
    verbs: [source.use.verb],
    relations: [name],
    columns: [full],
    compared: [full],
  };
  return {
    compared: { column: full, parameter, types: comparison.types },
    access: { class: source.use.class, facts },
  };
}

/** Relations of the catalog and functions. */
function refusalOfOthers(plan: MaskingPlan, collector: Collector): MaskRefusal | null {
  for (const use of collector.uses) {
    const refusal = catalogRefusal(use, plan);
    if (refusal !== null) return refusal;
  }
  for (const name of collector.functions) {
    const refusal = functionRefusal(name, plan);
    if (refusal !== null) return refusal;
  }
  return null;
}

/** What a statement changes cannot be replaced, so nothing masked may be read of it. */
function refusalOfTargets({ plan, targets }: References): MaskRefusal | null {
  for (const { relation, reads } of targets) {
    const name = fullName(relation);
    if (plan.mode === "inline") {
      return {
        message: `"${name}" has masked columns, and inline masking does not let such relations be changed`,
        hint: "Change it with a login that is not masked, or have the target's masking set up in guarded mode.",
      };
    }
    const read = relation.columns.find(({ name: column, mask }) => mask !== null && reads.columns.has(column));
    if (read || reads.columnsUnknown) {
      return {
        message: `column "${name}${read ? `.${read.name}` : ""}" is masked, and a statement cannot read it in the relation that it changes`,
        hint: "Leave it out of conditions, ON CONFLICT and expressions; RETURNING may list it by its name alone.",
      };
    }
  }
  return null;
}

/** Replaces what stands in source position. */
function substitute(
  references: References,
  mentions: ReadonlyMap<MaskedRelation, Mention>,
  edits: Edit[],
): MaskRefusal | null {
  const { plan, sources, schemaNames, namesakes } = references;
  const touched = new Set<MaskedRelation>();
  for (const { relation, uses } of mentions.values())
    if (isAlwaysReplaced(relation, plan) || uses.some((use) => touches(use, relation))) touched.add(relation);
  for (const source of sources) {
    if (!touched.has(source.relation)) continue;
    const system = systemColumns(source);
    const whole = sourceOf(source, system, references);
    if (typeof whole !== "string") return whole;
    const from = comparedFrom(source, whole, references.comparisons);
    const shown = [outputList(source.relation, null, "expression"), ...system.map(quoteIdentifier)];
    const kind = source.sample === null ? "relation" : "sample";
    edits.push({ kind, at: source.at, subquery: `SELECT ${shown.join(", ")} FROM ${from}` });
    // "*" is to show what it always does.
    if (system.length > 0)
      for (const at of source.stars) edits.push({ kind: "targets", at, targets: columnsOf(source) });
  }
  // Within the rows that have its value the comparison holds for all, unless that is NULL.
  for (const { at, parameter } of references.comparisons)
    edits.push({ kind: "column", at, expression: `$${parameter}` });
  for (const source of namesakes) {
    if (!touched.has(source.relation)) continue;
    return {
      message: `"${source.name}" names two relations here, one of which has masked columns`,
      hint: "Give each an alias of its own.",
    };
  }
  for (const { at, source, expression, isAmbiguous } of schemaNames) {
    if (!touched.has(source.relation)) continue;
    if (isAmbiguous) {
      return {
        message: `"${fullName(source.relation)}" has masked columns, and another relation of that name is in sight`,
        hint: "Give each an alias of its own.",
      };
    }
    edits.push({ kind: "column", at, expression });
  }
  return null;
}

/** With only the rows that the statement's comparison finds. */
function comparedFrom(source: SourceReference, from: string, comparisons: References["comparisons"]): string {
  const own = comparisons.find((each) => each.source === source);
  return own === undefined ? from : comparedSource(own.comparison, from, own.column, own.parameter, source.isOnly);
}

/** Inline nothing stands behind the gateway's own reading. */
function isAlwaysReplaced({ isServersOwn }: MaskedRelation, { mode }: MaskingPlan): boolean {
  return mode === "inline" && isServersOwn !== true;
}

/** A masked column of it, or one that is not known, is named in some way. */
function touches(use: RelationUse, relation: MaskedRelation): boolean {
  if (relation.hidesRows === true) return true;
  return use.columnsUnknown || relation.columns.some(({ name, mask }) => mask !== null && use.columns.has(name));
}

/** The system columns that a substitute shows behind the others, because they are named. */
function systemColumns({ relation, use }: SourceReference): readonly string[] {
  const own = new Set(relation.columns.map(({ name }) => name));
  return [...use.columns].filter((column) => isSystemColumn(column) && !own.has(column));
}

/** All columns of a source, as `*` lists them. */
function columnsOf({ relation, name }: SourceReference): string {
  return relation.columns.map((column) => quoteQualified(name, column.name)).join(", ");
}

/** What to read instead of a relation, as SQL. */
function sourceOf(source: SourceReference, system: readonly string[], references: References): string | MaskRefusal {
  const { relation, use, isOnly, sample } = source;
  const name = fullName(relation);
  const unsampled: MaskRefusal = {
    message: `"${name}" has masked columns, and what is shown of it cannot be sampled by TABLESAMPLE`,
    hint: "Choose rows with a condition, or with ORDER BY random() and LIMIT.",
  };
  if (sample !== null && (sample.clause === null || relation.hidesRows === true)) return unsampled;
  const clause = sample === null ? "" : ` ${sample.clause}`;
  const [first] = system;
  const none: MaskRefusal | null =
    first === undefined
      ? null
      : {
          message: `"${name}" has masked columns, and what is shown of it has no system column ${first}`,
          hint: "Leave it out, and tell rows by the primary key.",
        };
  if (none !== null && (use.columnsUnknown || use.isWhole))
    return { ...none, hint: 'List the other columns by name, or as "*" of this relation alone.' };
  if (references.plan.mode === "guarded" && relation.isServersOwn !== true && (sample !== null || none !== null)) {
    const isReadable = system.every((column) => READABLE_SYSTEM_COLUMNS.includes(column));
    const isCompared = references.comparisons.some((each) => each.source === source);
    const itself = isReadable && !isCompared ? itselfOf(source) : null;
    return itself === null ? (none ?? unsampled) : `${itself}${clause}`;
  }
  const whole = isOnly ? relation.sourceOnly : relation.source;
  return whole === null ? noChildless(name) : `${whole}${clause}`;
}

/**
 * The relation instead of its masking view, for what no view has; null where a mask is no constant, which only the view
 * can compute. The login may read its other columns, and nothing else of it.
 */
function itselfOf({ relation: { itself, columns }, isOnly }: SourceReference): string | null {
  if (itself === undefined || columns.some(({ mask }) => mask !== null && mask.expression !== mask.constant))
    return null;
  return isOnly ? `ONLY ${itself}` : itself;
}

function noChildless(name: string): MaskRefusal {
  return {
    message: `"${name}" has masked columns, and cannot be shown without the relations that inherit from it`,
    hint: "Read it without ONLY.",
  };
}

/** COPY rel TO STDOUT becomes COPY (query) TO STDOUT. */
function copyOut(
  { plan, copies }: References,
  mentions: ReadonlyMap<MaskedRelation, Mention>,
  reading: Reading,
  edits: Edit[],
): MaskRefusal | null {
  for (const copy of copies) {
    const { relation } = copy;
    const uses = mentions.get(relation)?.uses ?? [];
    if (!isAlwaysReplaced(relation, plan) && !uses.some((use) => touches(use, relation))) continue;
    const name = fullName(relation);
    if (reading.catalog?.relation(relation.schema, relation.name)?.kind !== "table") {
      return {
        message: `"${name}" has masked columns and is no plain table, so it cannot be copied by its name`,
        hint: `Use COPY (SELECT ... FROM ${quoteIdentifier(relation.schema)}.${quoteIdentifier(relation.name)}) TO STDOUT.`,
      };
    }
    if (relation.sourceOnly === null) return noChildless(name);
    edits.push({ kind: "copy", at: copy.at, query: copyQuery(copy, relation.sourceOnly) });
  }
  return null;
}

function copyQuery({ relation, columns }: CopyReference, from: string): string {
  const own = relation.columns.filter(({ isGenerated }) => isGenerated !== true).map(({ name }) => name);
  return `SELECT ${outputList(relation, null, "expression", columns.length === 0 ? own : columns)} FROM ${from}`;
}

/** Those of masked columns, and of others whose change may fail by what stands in a masked one. */
function writesOf({ targets, tiedWrites }: References, collector: Collector, { database }: Reading): Access[] {
  const writes: Access[] = [];
  const write = (verb: Verb, name: string, columns: Iterable<string>): void => {
    const facts: Record<string, FactValue> = {
      databases: [database],
      verbs: [verb],
      relations: [name],
      columns: Array.from(columns, (column) => `${name}.${joinIdentifier(column)}`),
    };
    const unfiltered = [...collector.uses].find((use) => use.verb === verb && use.relation.name === name)?.unfiltered;
    if (typeof unfiltered === "boolean") facts["unfiltered"] = unfiltered;
    writes.push({ class: classOf(verb), facts, named: ["columns"] });
  };
  for (const target of targets)
    for (const { verb, columns } of target.maskedWrites()) write(verb, fullName(target.relation), columns);
  for (const [{ name }, columns] of tiedWrites) if (name !== null) write("update", name, columns);
  return writes;
}

function fullName({ schema, name }: MaskedRelation): string {
  return joinIdentifier(schema, name);
}
