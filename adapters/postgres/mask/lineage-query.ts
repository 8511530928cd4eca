/** The queries of a view's definition: what their columns are computed from, through every WITH and set operation. */
import { checkFields } from "../describe/expression.ts";
import { NODE_FIELDS } from "../describe/node-fields.ts";
import {
  bareOf,
  isGap,
  itemsOf,
  listOf,
  nameOf,
  namesOf,
  nodesOf,
  NotUnderstood,
  textOf,
  unwrap,
} from "../describe/tree.ts";
import type { Node } from "../describe/tree.ts";
import type { Fields } from "../parser.ts";
import { LineageExpressions } from "./lineage-expression.ts";
import { LineageFrom } from "./lineage-from.ts";
import { type LineageNames, Nesting, type Outputs, type Place, type Tables } from "./lineage-place.ts";
import { type Level, makeSource, NO_READS, type Reads, renamed, type Shown, union } from "./lineage-scope.ts";

/** The most rounds that a recursive query may need to settle; each finds something new. */
const ROUNDS_MAX = 100;

export class LineageQueries {
  readonly expressions: LineageExpressions;
  readonly from: LineageFrom;
  readonly #nesting = new Nesting();

  constructor(names: LineageNames) {
    this.expressions = new LineageExpressions(names, this.#nesting, (fields, place) => this.select(fields, place));
    this.from = new LineageFrom(names, this.#nesting, this.expressions, (fields, place) => this.select(fields, place));
  }

  /** A query; what decides its rows is added to the place's gates. */
  select(fields: Fields, place: Place): Outputs {
    return this.#nesting.in(() => this.#select(fields, place));
  }

  #select(fields: Fields, around: Place): Outputs {
    checkFields("SelectStmt", fields);
    if (fields["intoClause"] !== undefined) throw new NotUnderstood("INTO stands where it has no meaning");
    const { gates } = around;
    const tables = this.#withClause(fields["withClause"], around);
    const larg = bareOf(fields["larg"]);
    const rarg = bareOf(fields["rarg"]);
    if (larg && rarg) return this.#setOperation(fields, larg, rarg, { ...around, tables });
    const sources = this.from.list(nodesOf(fields["fromClause"]), { ...around, tables });
    const inside: Place = { level: { sources, parent: around.level }, tables, gates };
    const outputs =
      fields["valuesLists"] === undefined
        ? this.#targets(fields["targetList"], inside)
        : this.#values(fields["valuesLists"], inside);
    for (const clause of ["whereClause", "havingClause", "windowClause", "limitOffset", "limitCount"]) {
      gates.add(this.expressions.field(fields[clause], inside));
    }
    for (const clause of ["groupClause", "sortClause"]) gates.add(this.#outputsOr(fields[clause], outputs, inside));
    const distinct = listOf(fields["distinctClause"]);
    if (distinct.some(isGap)) gates.add(...outputs.map(({ reads }) => reads));
    else gates.add(this.#outputsOr(fields["distinctClause"], outputs, inside));
    return outputs;
  }

  #setOperation(fields: Fields, larg: Fields, rarg: Fields, place: Place): Outputs {
    const left = this.select(larg, place);
    const right = this.select(rarg, place);
    if (left.length !== right.length) throw new NotUnderstood("the sides of a set operation do not fit");
    const outputs = left.map(({ name, reads }, index) => ({
      name,
      reads: union([reads, right[index]?.reads ?? NO_READS]),
    }));
    // All but UNION ALL compare rows.
    if (fields["op"] !== "SETOP_UNION" || fields["all"] !== true) place.gates.add(...outputs.map(({ reads }) => reads));
    const inside: Place = { ...place, level: { sources: [makeSource(null, outputs)], parent: place.level } };
    place.gates.add(this.#outputsOr(fields["sortClause"], outputs, inside));
    place.gates.add(
      this.expressions.field(fields["limitOffset"], inside),
      this.expressions.field(fields["limitCount"], inside),
    );
    return outputs;
  }

  #targets(list: unknown, place: Place): Outputs {
    const outputs: Shown[] = [];
    for (const target of nodesOf(list)) {
      if (target.kind !== "ResTarget") throw new NotUnderstood(`a select list holds a ${target.kind}`);
      checkFields("ResTarget", target.fields);
      const value = unwrap(target.fields["val"]);
      const parts = value.kind === "ColumnRef" ? nodesOf(value.fields["fields"]) : [];
      const last = parts.at(-1);
      if (last?.kind === "A_Star") {
        outputs.push(...starColumns(parts.slice(0, -1).map(nameOf), place.level));
        continue;
      }
      const given = textOf(target.fields["name"]);
      const own = last === undefined ? "?column?" : nameOf(last);
      outputs.push({ name: given === "" ? own : given, reads: this.expressions.node(value, place) });
    }
    return outputs;
  }

  #values(lists: unknown, place: Place): Outputs {
    const columns: Reads[] = [];
    for (const row of nodesOf(lists)) {
      for (const [index, item] of itemsOf(row).entries()) {
        columns[index] = union([columns[index] ?? NO_READS, this.expressions.node(item, place)]);
      }
    }
    return columns.map((reads, index) => ({ name: `column${index + 1}`, reads }));
  }

  /** ORDER BY, GROUP BY, DISTINCT ON: a bare name or number may mean an output. */
  #outputsOr(list: unknown, outputs: Outputs, place: Place): Reads {
    const reads: Reads[] = [];
    const item = (node: Node): void => {
      if (node.kind === "SortBy") {
        checkSortBy(node.fields);
        item(unwrap(node.fields["node"]));
        return;
      }
      if (node.kind === "GroupingSet") {
        for (const inner of nodesOf(node.fields["content"])) item(inner);
        return;
      }
      if (node.kind === "RowExpr" || node.kind === "List") {
        for (const inner of nodesOf(node.fields[node.kind === "List" ? "items" : "args"])) item(inner);
        return;
      }
      const position = positionOf(node);
      if (position !== null) {
        const output = outputs[position - 1];
        if (output === undefined) throw new NotUnderstood("a number stands for no output column");
        reads.push(output.reads);
        return;
      }
      const name = bareName(node);
      const named = name === null ? [] : outputs.filter((output) => output.name === name);
      reads.push(...named.map((output) => output.reads));
      // It may also be a column of a source; but when no source has it, it is the output.
      if (named.length === 0 || isInSight(place.level, name ?? "")) reads.push(this.expressions.node(node, place));
    };
    for (const node of nodesOf(list)) item(node);
    return union(reads);
  }

  #withClause(value: unknown, around: Place): Tables | null {
    const clause = bareOf(value);
    if (!clause) return around.tables;
    checkFields("WithClause", clause);
    const tables: Tables = { columns: new Map(), parent: around.tables };
    const inside: Place = { ...around, tables };
    const ctes = nodesOf(clause["ctes"]);
    if (clause["recursive"] === true) {
      for (const { fields } of ctes) tables.columns.set(textOf(fields["ctename"]), { shown: [], isOpen: true });
      this.#settle(ctes, tables, inside);
    } else for (const cte of ctes) this.#namedQuery(cte, tables, inside);
    return tables;
  }

  /** Queries that refer to themselves or to later ones: read until nothing new is found. */
  #settle(ctes: readonly Node[], tables: Tables, inside: Place): void {
    let before = -1;
    for (let round = 0; ; round++) {
      if (round > ROUNDS_MAX) throw new NotUnderstood("a recursive query does not settle");
      for (const cte of ctes) this.#namedQuery(cte, tables, inside);
      let size = inside.gates.reads.size;
      for (const { shown, isOpen } of tables.columns.values()) {
        size += isOpen ? 0 : 1;
        for (const { reads } of shown) size += reads.size + 1;
      }
      if (size === before) return;
      before = size;
    }
  }

  #namedQuery({ kind, fields }: Node, tables: Tables, inside: Place): void {
    checkFields(kind, fields);
    const query = unwrap(fields["ctequery"]);
    if (query.kind !== "SelectStmt") throw new NotUnderstood("a WITH clause holds what is no query");
    const name = textOf(fields["ctename"]);
    const outputs = this.select(query.fields, inside);
    const columns = renamed(outputs, namesOf(fields["aliascolnames"]));
    const all = union(columns.map(({ reads }) => reads));
    const search = bareOf(fields["search_clause"]);
    if (search) columns.push({ name: textOf(search["search_seq_column"]), reads: all });
    const cycle = bareOf(fields["cycle_clause"]);
    if (cycle) {
      // Where a row was seen before, nothing follows it.
      inside.gates.add(all);
      columns.push({ name: textOf(cycle["cycle_mark_column"]), reads: all });
      columns.push({ name: textOf(cycle["cycle_path_column"]), reads: all });
    }
    tables.columns.set(name, { shown: columns, isOpen: false });
  }
}

/** The columns of `*` and `source.*` in a select list. */
function starColumns(names: readonly string[], level: Level): readonly Shown[] {
  const sourceName = names.at(-1);
  const sources = level.sources.filter(
    (source) => !source.onlyQualified && (sourceName === undefined || source.name === sourceName),
  );
  if (sources.length === 0 || sources.some(({ isOpen }) => isOpen)) {
    throw new NotUnderstood("the columns of a * are not known");
  }
  return sources.flatMap(({ columns }) => columns);
}

function checkSortBy(fields: Fields): void {
  for (const field in fields) {
    if (!Object.hasOwn(NODE_FIELDS["SortBy"] ?? {}, field))
      throw new NotUnderstood(`a SortBy has an unknown part ${field}`);
  }
}

/** A whole number that stands alone; null for anything else. */
function positionOf({ kind, fields }: Node): number | null {
  const number = kind === "A_Const" ? bareOf(fields["ival"]) : null;
  const value = number?.["ival"];
  return typeof value === "number" ? value : null;
}

function bareName({ kind, fields }: Node): string | null {
  if (kind !== "ColumnRef") return null;
  const parts = nodesOf(fields["fields"]);
  const [only] = parts;
  return parts.length === 1 && only?.kind === "String" ? nameOf(only) : null;
}

function isInSight(level: Level, name: string): boolean {
  for (let at: Level | null = level; at; at = at.parent) {
    const isHere = at.sources.some(
      (source) => source.isOpen || source.name === name || source.columns.some((column) => column.name === name),
    );
    if (isHere) return true;
  }
  return false;
}
