/** Reads queries: which relations a SELECT, VALUES or TABLE reads, through every FROM, WITH and subquery. */
import type { Fields } from "../parser.ts";
import type { Verb } from "../vocabulary.ts";
import { classOf } from "../vocabulary.ts";
import type { Collector, RelationUse } from "./collector.ts";
import { checkFields, ExpressionReader } from "./expression.ts";
import type { Surroundings, WithTables } from "./expression.ts";
import { FromReader } from "./from.ts";
import { NO_OUTPUTS, renamed } from "./query-outputs.ts";
import type { Outputs } from "./query-outputs.ts";
import type { Resolver } from "./resolver.ts";
import { shownColumns } from "./scope.ts";
import type { Level, Source } from "./scope.ts";
import { bareOf, isGap, itemsOf, listOf, nameOf, namesOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** The server's own limit on a select list (MaxTupleAttributeNumber); `*` of `*` of `*` would grow without end. */
const COLUMNS_MAX = 1_664;

/** Reads a statement inside WITH, or elsewhere, that is no query itself. */
export type StatementReader = (statement: Node, surroundings: Surroundings) => Outputs;

/** Nothing is in sight around a statement. */
export const NOTHING_AROUND: Surroundings = { level: { sources: [], isExact: true, parent: null }, tables: null };

export class QueryReader {
  readonly expressions: ExpressionReader;
  readonly #collector: Collector;
  readonly #resolver: Resolver;
  readonly #readVerb: Verb;
  readonly #readModification: StatementReader;
  readonly #from: FromReader;

  /** `readVerb` is the verb under which relations are read: `select`, or what replaces it (`explain`, `copy to`). */
  constructor(collector: Collector, resolver: Resolver, readVerb: Verb, readModification: StatementReader) {
    this.#collector = collector;
    this.#resolver = resolver;
    this.#readVerb = readVerb;
    this.#readModification = readModification;
    this.expressions = new ExpressionReader(collector, resolver, (query, surroundings) => {
      this.statement(query, surroundings);
    });
    this.#from = new FromReader(this.expressions, {
      relation: (range, tables) => this.relation(range, tables),
      subquery: (query, surroundings) => this.statement(query, surroundings),
    });
  }

  /** A query, or a modification with RETURNING. */
  statement(node: Node, surroundings: Surroundings): Outputs {
    let outputs: Outputs = NO_OUTPUTS;
    this.expressions.nest(() => {
      outputs =
        node.kind === "SelectStmt"
          ? this.select(node.fields, surroundings)
          : this.#readModification(node, surroundings);
    });
    return outputs;
  }

  select(fields: Fields, surroundings: Surroundings): Outputs {
    checkFields("SelectStmt", fields);
    if (fields["intoClause"] !== undefined) throw new NotUnderstood("INTO stands where it has no meaning");
    const tables = this.withClause(fields["withClause"], surroundings);
    const larg = bareOf(fields["larg"]);
    const rarg = bareOf(fields["rarg"]);
    if (larg && rarg) return this.#setOperation(fields, larg, rarg, { level: surroundings.level, tables });

    const level = this.from(fields["fromClause"], { level: surroundings.level, tables });
    const inside: Surroundings = { level, tables };
    const outputs = this.targets(fields["targetList"], inside);
    this.expressions.field(fields["whereClause"], inside);
    this.expressions.field(fields["havingClause"], inside);
    this.expressions.field(fields["windowClause"], inside);
    const withOutputs: Surroundings = { level: { ...level, outputs: new Set(outputs.possible) }, tables };
    this.expressions.field(fields["groupClause"], withOutputs);
    this.#order(fields["sortClause"], outputs.names, withOutputs);
    this.#distinct(fields["distinctClause"], outputs.names, withOutputs);
    let columnCount = 0;
    for (const row of nodesOf(fields["valuesLists"])) {
      const items = itemsOf(row);
      columnCount = items.length;
      for (const item of items) this.expressions.node(item, inside);
    }
    this.expressions.field(fields["limitOffset"], inside);
    this.expressions.field(fields["limitCount"], inside);
    lock(fields["lockingClause"], level);
    const lockable = level.sources.flatMap((source) => source.lockable);
    if (fields["valuesLists"] !== undefined) {
      const names = Array.from({ length: columnCount }, (_, index) => `column${index + 1}`);
      return { names, isOpen: false, lockable };
    }
    return { ...outputs, lockable };
  }

  #setOperation(fields: Fields, larg: Fields, rarg: Fields, surroundings: Surroundings): Outputs {
    let outputs: Outputs = NO_OUTPUTS;
    this.expressions.nest(() => {
      const left = this.select(larg, surroundings);
      const right = this.select(rarg, surroundings);
      outputs = { ...left, lockable: [...left.lockable, ...right.lockable] };
    });
    // Only output columns are in sight; what is found further out is none of them, but it does no harm to count it.
    const level: Level = { sources: [], isExact: true, outputs: new Set(outputs.names), parent: surroundings.level };
    const inside: Surroundings = { level, tables: surroundings.tables };
    this.#order(fields["sortClause"], outputs.names, inside);
    this.expressions.field(fields["limitOffset"], inside);
    this.expressions.field(fields["limitCount"], inside);
    if (fields["lockingClause"] !== undefined) throw new NotUnderstood("rows of a set operation cannot be locked");
    return outputs;
  }

  /** A FROM list: the level that it opens. */
  from(list: unknown, surroundings: Surroundings): Level {
    return this.#from.list(nodesOf(list), surroundings);
  }

  /** A select list, or RETURNING. `possible` adds the names that the server may give to unnamed columns. */
  targets(list: unknown, surroundings: Surroundings): Outputs & { readonly possible: readonly string[] } {
    const names: string[] = [];
    const possible: string[] = [];
    let isOpen = false;
    for (const target of nodesOf(list)) {
      if (target.kind !== "ResTarget") throw new NotUnderstood(`a select list holds a ${target.kind}`);
      this.expressions.node(target, surroundings);
      const given = textOf(target.fields["name"]);
      const value = unwrap(target.fields["val"]);
      if (given !== "") names.push(given);
      else if (value.kind === "ColumnRef") {
        const parts = nodesOf(value.fields["fields"]);
        const last = parts.at(-1);
        if (last?.kind === "A_Star") {
          const shown = starColumns(parts.slice(0, -1).map(nameOf).at(-1) ?? null, surroundings.level);
          names.push(...shown.names);
          isOpen ||= shown.isOpen;
        } else if (last) names.push(nameOf(last));
      } else {
        isOpen = true;
        const last = value.kind === "FuncCall" ? namesOf(value.fields["funcname"]).at(-1) : undefined;
        if (last !== undefined) possible.push(last);
      }
    }
    if (names.length > COLUMNS_MAX) throw new NotUnderstood(`it shows more than ${COLUMNS_MAX} columns`);
    return { names, possible: [...names, ...possible], isOpen, lockable: [] };
  }

  /** A bare name in ORDER BY means an output column first. */
  #order(list: unknown, outputs: readonly string[], surroundings: Surroundings): void {
    for (const node of nodesOf(list)) {
      if (node.kind === "SortBy" && node.fields["useOp"] === undefined && isOutput(node.fields["node"], outputs))
        continue;
      this.expressions.node(node, surroundings);
    }
  }

  #distinct(list: unknown, outputs: readonly string[], surroundings: Surroundings): void {
    for (const item of listOf(list)) {
      if (!isGap(item) && !isOutput(item, outputs)) this.expressions.field(item, surroundings);
    }
  }

  /** A relation that is read, or a named query of a WITH clause (null). */
  relation(range: Fields, tables: WithTables | null): { use: RelationUse } | { table: Outputs } {
    checkFields("RangeVar", range);
    const schema = textOf(range["schemaname"]);
    const name = textOf(range["relname"]);
    if (schema === "") {
      for (let at = tables; at; at = at.parent) {
        const table = at.tables.get(name);
        // FOR UPDATE does not reach into WITH.
        if (table) return { table: { names: table.columns, isOpen: table.isOpen, lockable: [] } };
      }
    }
    const relation = this.#resolver.relation(schema, name, textOf(range["catalogname"]));
    return { use: this.#collector.relation(this.#readVerb, classOf(this.#readVerb), relation) };
  }

  /** The named queries of a WITH clause, read. Without RECURSIVE each sees only those before it. */
  withClause(value: unknown, surroundings: Surroundings): WithTables | null {
    const clause = bareOf(value);
    if (!clause) return surroundings.tables;
    checkFields("WithClause", clause);
    const isRecursive = clause["recursive"] === true;
    const tables = new Map<string, { columns: readonly string[]; isOpen: boolean }>();
    const inside: WithTables = { tables, parent: surroundings.tables };
    const ctes = nodesOf(clause["ctes"]);
    if (isRecursive) {
      for (const { fields } of ctes) {
        const listed = namesOf(fields["aliascolnames"]);
        tables.set(textOf(fields["ctename"]), { columns: listed, isOpen: true });
      }
    }
    for (const { kind, fields } of ctes) {
      checkFields(kind, fields);
      const query = unwrap(fields["ctequery"]);
      const outputs = this.statement(query, { level: surroundings.level, tables: inside });
      const listed = namesOf(fields["aliascolnames"]);
      const { names, isOpen } = renamed(outputs, listed);
      const columns = [...names, ...this.#searchAndCycle(fields, { level: surroundings.level, tables: inside })];
      tables.set(textOf(fields["ctename"]), { columns, isOpen });
    }
    return inside;
  }

  /** The columns that SEARCH and CYCLE add. */
  #searchAndCycle(cte: Fields, surroundings: Surroundings): string[] {
    const columns: string[] = [];
    const search = bareOf(cte["search_clause"]);
    if (search) {
      checkFields("CTESearchClause", search);
      columns.push(textOf(search["search_seq_column"]));
    }
    const cycle = bareOf(cte["cycle_clause"]);
    if (cycle) {
      checkFields("CTECycleClause", cycle);
      columns.push(textOf(cycle["cycle_mark_column"]), textOf(cycle["cycle_path_column"]));
      this.expressions.field(cycle["cycle_mark_value"], surroundings);
      this.expressions.field(cycle["cycle_mark_default"], surroundings);
    }
    return columns;
  }
}

/** FOR UPDATE and its like, of all sources or of those that are named. */
function lock(clauses: unknown, level: Level): void {
  for (const { kind, fields } of nodesOf(clauses)) {
    checkFields(kind, fields);
    const named = nodesOf(fields["lockedRels"]).map((range) => textOf(range.fields["relname"]));
    for (const source of level.sources) {
      const isMeant = named.length === 0 || (source.name !== null && named.includes(source.name));
      if (isMeant) for (const use of source.lockable) use.locked = true;
    }
  }
}

function starColumns(sourceName: string | null, level: Level): { names: string[]; isOpen: boolean } {
  if (sourceName === null) return shownColumns(level.sources);
  for (let at: Level | null = level; at; at = at.parent) {
    const named: Source[] = at.sources.filter((source) => source.name === sourceName);
    if (named.length > 0) return shownColumns(named);
  }
  return { names: [], isOpen: true };
}

function isOutput(value: unknown, outputs: readonly string[]): boolean {
  const node = unwrap(value);
  if (node.kind !== "ColumnRef") return false;
  const parts = nodesOf(node.fields["fields"]);
  const [only] = parts;
  return parts.length === 1 && only !== undefined && only.kind === "String" && outputs.includes(nameOf(only));
}
