/** Reads queries: which relations a SELECT, VALUES or TABLE reads, through every FROM, WITH and subquery. */
import type { Fields } from "../parser.ts";
import type { Verb } from "../vocabulary.ts";
import { classOf } from "../vocabulary.ts";
import type { Collector, RelationUse } from "./collector.ts";
import { columnComparison, conjunctsOf } from "./column-comparison.ts";
import { checkFields, ExpressionReader } from "./expression.ts";
import type { Surroundings, WithTable, WithTables } from "./expression.ts";
import { FromReader } from "./from.ts";
import { KeptOut } from "./kept-out.ts";
import { renamed } from "./query-outputs.ts";
import type { Outputs } from "./query-outputs.ts";
import type { SourceReference } from "./references.ts";
import type { Resolver } from "./resolver.ts";
import { referToColumn, shownColumns } from "./scope.ts";
import type { BaseColumn, Level, Source } from "./scope.ts";
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
    this.#from = new FromReader(collector, this.expressions, {
      relation: (range, tables, alias) => this.relation(range, tables, alias),
      subquery: (query, surroundings) => this.statement(query, surroundings),
    });
  }

  /** A query, or a modification with RETURNING. */
  statement(node: Node, surroundings: Surroundings): Outputs {
    const { references } = this.#collector;
    return this.expressions.nest(() => {
      if (node.kind === "SelectStmt") return this.select(node.fields, surroundings);
      const read = (): Outputs => this.#readModification(node, surroundings);
      return references === null ? read() : references.withoutComparisons(read);
    });
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
    this.#where(fields["whereClause"], inside);
    this.expressions.condition(fields["havingClause"], inside);
    this.expressions.condition(fields["windowClause"], inside);
    const withOutputs: Surroundings = { level: { ...level, outputs: new Set(outputs.possible) }, tables };
    this.expressions.condition(fields["groupClause"], withOutputs);
    this.#order(fields["sortClause"], outputs.names, withOutputs);
    this.#distinct(fields["distinctClause"], outputs.names, withOutputs);
    const values = fields["valuesLists"] === undefined ? null : this.#values(fields["valuesLists"], inside);
    this.expressions.condition(fields["limitOffset"], inside);
    this.expressions.condition(fields["limitCount"], inside);
    if (outputs.keptOut) this.#compare(outputs.keptOut.compared(fields));
    lock(fields["lockingClause"], level);
    const lockable = level.sources.flatMap((source) => source.lockable);
    return { ...(values ?? outputs), lockable };
  }

  /** The condition of a query; a part of it may compare a masked column, which then finds the rows at their source. */
  #where(condition: unknown, inside: Surroundings): void {
    const { references } = this.#collector;
    if (references === null || condition === undefined || !references.mayCompare)
      return this.expressions.condition(condition, inside);
    for (const part of conjunctsOf(condition)) {
      const comparison = columnComparison(part, inside.level);
      if (comparison !== null && references.compares(comparison)) this.expressions.operatorName(comparison.operator);
      else references.condition(() => this.expressions.node(part, inside));
    }
  }

  /** The rows of VALUES. */
  #values(rows: unknown, inside: Surroundings): Outputs {
    const { references } = this.#collector;
    const names: string[] = [];
    const keptOut: BaseColumn[][] = [];
    for (const row of nodesOf(rows)) {
      for (const [index, item] of itemsOf(row).entries()) {
        names[index] = `column${index + 1}`;
        const read = (): void => this.expressions.node(item, inside);
        if (references === null) read();
        else (keptOut[index] ??= []).push(...references.keptOutOf(read));
      }
    }
    const outputs: Outputs = { names, isOpen: false, lockable: [] };
    if (references === null) return outputs;
    return {
      ...outputs,
      keptOut: new KeptOut(keptOut.map((columns, index) => ({ name: names[index] ?? null, columns }))),
    };
  }

  #setOperation(fields: Fields, larg: Fields, rarg: Fields, surroundings: Surroundings): Outputs {
    const outputs = this.expressions.nest(() => {
      const left = this.select(larg, surroundings);
      const right = this.select(rarg, surroundings);
      return { ...left, lockable: [...left.lockable, ...right.lockable], ...keptOutOfBoth(left, right) };
    });
    const { keptOut } = outputs;
    // Without ALL, rows are compared.
    if (keptOut) this.#compare(fields["all"] === true ? keptOut.compared(fields) : keptOut.all);
    // Only output columns are in sight; what is found further out is none of them, but it does no harm to count it.
    const level: Level = { sources: [], isExact: true, outputs: new Set(outputs.names), parent: surroundings.level };
    const inside: Surroundings = { level, tables: surroundings.tables };
    this.#order(fields["sortClause"], outputs.names, inside);
    this.expressions.condition(fields["limitOffset"], inside);
    this.expressions.condition(fields["limitCount"], inside);
    if (fields["lockingClause"] !== undefined) throw new NotUnderstood("rows of a set operation cannot be locked");
    return outputs;
  }

  /** What rows are compared by, through the outputs that show it. */
  #compare(columns: readonly BaseColumn[]): void {
    this.#collector.references?.condition(() => referToColumn(columns));
  }

  /** A FROM list: the level that it opens. */
  from(list: unknown, surroundings: Surroundings): Level {
    const level = this.#from.list(nodesOf(list), surroundings);
    this.#collector.references?.level(level);
    return level;
  }

  /**
   * A select list, or RETURNING. `possible` adds the names that the server may give to unnamed columns; `around` says
   * what is in sight of one item where that is not `surroundings`.
   */
  targets(
    list: unknown,
    surroundings: Surroundings,
    around?: (target: Node) => Surroundings,
  ): Outputs & { readonly possible: readonly string[] } {
    const names: string[] = [];
    const possible: string[] = [];
    let isOpen = false;
    const keptOut = this.#collector.references ? new KeptOut() : null;
    for (const target of nodesOf(list)) {
      if (target.kind !== "ResTarget") throw new NotUnderstood(`a select list holds a ${target.kind}`);
      this.#target(target, around?.(target) ?? surroundings, keptOut);
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
        if (value.kind === "FuncCall") possible.push(...namesOf(value.fields["funcname"]).slice(-1));
      }
    }
    if (names.length > COLUMNS_MAX) throw new NotUnderstood(`it shows more than ${COLUMNS_MAX} columns`);
    const outputs = { names, possible: [...names, ...possible], isOpen, lockable: [] };
    return keptOut ? { ...outputs, keptOut } : outputs;
  }

  /** One item of a list, with what it shows of columns that masks keep out of conditions. */
  #target(target: Node, inside: Surroundings, keptOut: KeptOut | null): void {
    const { references } = this.#collector;
    const read = (): void => this.expressions.node(target, inside);
    if (references === null || keptOut === null) return read();
    const value = unwrap(target.fields["val"]);
    const parts = value.kind === "ColumnRef" ? nodesOf(value.fields["fields"]) : [];
    const names = parts.at(-1)?.kind === "A_Star" ? parts.slice(0, -1).map(nameOf) : null;
    if (names === null) return keptOut.add(target, references.keptOutOf(read));
    const only = onlySource(names, inside.level);
    if (only === null) references.keptOutOf(read);
    else references.keptOutOf(() => references.star(value.fields, only, read));
    keptOut.addAllOf(starSources(names.at(-1) ?? null, inside.level));
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
      if (!isGap(item) && !isOutput(item, outputs)) this.expressions.condition(item, surroundings);
    }
  }

  /** A relation that is read, or a named query of a WITH clause (null). */
  relation(
    range: Fields,
    tables: WithTables | null,
    alias: string | null,
  ): { use: RelationUse; reference: SourceReference | null } | { table: Outputs } {
    checkFields("RangeVar", range);
    const schema = textOf(range["schemaname"]);
    const name = textOf(range["relname"]);
    if (schema === "") {
      for (let at = tables; at; at = at.parent) {
        const table = at.tables.get(name);
        // FOR UPDATE does not reach into WITH.
        if (table) {
          const { columns, isOpen, keptOut } = table;
          return { table: { names: columns, isOpen, lockable: [], ...(keptOut ? { keptOut } : {}) } };
        }
      }
    }
    const relation = this.#resolver.relation(schema, name, textOf(range["catalogname"]));
    const use = this.#collector.relation(this.#readVerb, classOf(this.#readVerb), relation);
    return { use, reference: this.#collector.references?.source(range, use, alias) ?? null };
  }

  /** The named queries of a WITH clause, read. Without RECURSIVE each sees only those before it. */
  withClause(value: unknown, surroundings: Surroundings): WithTables | null {
    const clause = bareOf(value);
    if (!clause) return surroundings.tables;
    checkFields("WithClause", clause);
    const isRecursive = clause["recursive"] === true;
    const tables = new Map<string, WithTable>();
    const inside: WithTables = { tables, parent: surroundings.tables };
    const ctes = nodesOf(clause["ctes"]);
    for (const { fields } of ctes) this.#collector.references?.namedQuery(textOf(fields["ctename"]));
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
      const { names, isOpen, keptOut } = renamed(outputs, listed);
      const columns = [...names, ...this.#searchAndCycle(fields, { level: surroundings.level, tables: inside })];
      tables.set(textOf(fields["ctename"]), { columns, isOpen, ...(keptOut ? { keptOut } : {}) });
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

/** Rows of a set operation have the names of its left side. */
function keptOutOfBoth(left: Outputs, right: Outputs): { keptOut?: KeptOut } {
  return left.keptOut && right.keptOut ? { keptOut: left.keptOut.with(right.keptOut) } : {};
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
  const sources = starSources(sourceName, level);
  return sources.length > 0 || sourceName === null ? shownColumns(sources) : { names: [], isOpen: true };
}

/** The masked relation whose own columns `*` or `name.*` stands for, and nothing else; null: it may stand for others. */
function onlySource(names: readonly string[], level: Level): SourceReference | null {
  const [name] = names;
  if (names.length > 1) return null;
  const sources: Source[] = [];
  if (name === undefined) sources.push(...level.sources);
  else {
    for (let at: Level | null = level; at; at = at.parent) {
      const named = at.sources.filter((source) => source.name === name);
      sources.push(...named);
      if (named.length > 0 && at.isExact) break;
    }
  }
  const [only] = sources;
  if (only === undefined || sources.length > 1 || only.onlyQualified || only.reference === null) return null;
  // A list of aliases gives columns other names.
  const own = [...(only.reference.use.relation.columns?.keys() ?? [])];
  const shown = [...only.columns.keys()];
  return shown.length === own.length && shown.every((column, index) => column === own[index]) ? only.reference : null;
}

/** The sources that `*` or `name.*` stands for. */
function starSources(sourceName: string | null, level: Level): readonly Source[] {
  if (sourceName === null) return level.sources;
  for (let at: Level | null = level; at; at = at.parent) {
    const named = at.sources.filter((source) => source.name === sourceName);
    if (named.length > 0) return named;
  }
  return [];
}

function isOutput(value: unknown, outputs: readonly string[]): boolean {
  const node = unwrap(value);
  if (node.kind !== "ColumnRef") return false;
  const parts = nodesOf(node.fields["fields"]);
  const [only] = parts;
  return parts.length === 1 && only !== undefined && only.kind === "String" && outputs.includes(nameOf(only));
}
