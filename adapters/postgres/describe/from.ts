/** Reads FROM lists: relations, subqueries, functions and joins become the sources of a query level. */
import type { Fields } from "../parser.ts";
import type { Collector, RelationUse } from "./collector.ts";
import { checkFields } from "./expression.ts";
import type { ExpressionReader, Surroundings, WithTables } from "./expression.ts";
import { renamed } from "./query-outputs.ts";
import type { Outputs } from "./query-outputs.ts";
import type { SourceReference } from "./references.ts";
import { derivedSource, referToColumn, referToRow, relationSource } from "./scope.ts";
import type { BaseColumn, Level, Source } from "./scope.ts";
import { bareOf, isGap, itemsOf, listOf, namesOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** What FROM needs from the reader of queries. */
export type FromQueries = {
  relation(
    range: Fields,
    tables: WithTables | null,
    alias: string | null,
  ): { use: RelationUse; reference: SourceReference | null } | { table: Outputs };
  subquery(query: Node, surroundings: Surroundings): Outputs;
};

/** Each name is looked for in all of them. */
const SOURCES_MAX = 500;

type Alias = { readonly name: string | null; readonly columns: readonly string[] };

/** While one list is read: the surroundings of the list, and the sources before the item at hand. */
type Progress = {
  readonly around: Surroundings;
  readonly before: Source[];
};

export class FromReader {
  readonly #collector: Collector;
  readonly #expressions: ExpressionReader;
  readonly #queries: FromQueries;

  constructor(collector: Collector, expressions: ExpressionReader, queries: FromQueries) {
    this.#collector = collector;
    this.#expressions = expressions;
    this.#queries = queries;
  }

  /** Reads a list: the level that it opens. */
  list(nodes: readonly Node[], around: Surroundings): Level {
    const progress: Progress = { around, before: [] };
    for (const node of nodes) {
      progress.before.push(...this.#item(node, progress));
      limitSources(progress.before);
    }
    return { sources: progress.before, isExact: true, parent: around.level };
  }

  /** The sources that an item adds: one, or those of both sides of a join without an alias. */
  #item(node: Node, progress: Progress): Source[] {
    return this.#expressions.nest(() => this.#read(node, progress));
  }

  #read({ kind, fields }: Node, progress: Progress): Source[] {
    if (kind === "RangeTableSample") return this.#sample(fields, progress);
    checkFields(kind, fields);
    switch (kind) {
      case "RangeVar":
        return [this.#relation(fields, progress)];
      case "RangeSubselect": {
        const alias = aliasOf(fields["alias"]);
        const around = fields["lateral"] === true ? lateral(progress) : progress.around;
        const outputs = this.#queries.subquery(unwrap(fields["subquery"]), around);
        return [derived(alias, outputs)];
      }
      case "RangeFunction":
        return [this.#function(fields, progress)];
      case "RangeTableFunc":
        return [this.#xmlTable(fields, progress)];
      case "JsonTable":
        return [this.#jsonTable(fields, progress)];
      case "JoinExpr":
        return this.#join(fields, progress);
      default:
        throw new NotUnderstood(`a ${kind} in FROM is not known`);
    }
  }

  #relation(fields: Fields, progress: Progress): Source {
    const alias = aliasOf(fields["alias"]);
    const own = textOf(fields["relname"]);
    const found = this.#queries.relation(fields, progress.around.tables, alias.name);
    if ("table" in found) return derived({ name: alias.name ?? own, columns: alias.columns }, found.table);
    const { use, reference } = found;
    const schema = alias.name === null ? use.relation.schema : null;
    return relationSource(use, alias.name ?? own, schema, alias.columns, reference);
  }

  #sample(fields: Fields, progress: Progress): Source[] {
    checkFields("RangeTableSample", fields);
    this.#expressions.functionName(namesOf(fields["method"]));
    const inside = lateral(progress);
    this.#expressions.field(fields["args"], inside);
    this.#expressions.field(fields["repeatable"], inside);
    const sources = this.#item(unwrap(fields["relation"]), progress);
    for (const { reference } of sources) if (reference) reference.sample = { clause: sampleClause(fields) };
    return sources;
  }

  #function(fields: Fields, progress: Progress): Source {
    const alias = aliasOf(fields["alias"]);
    const inside = lateral(progress);
    let own: string | null = null;
    const columns = [...alias.columns];
    let isOpen = true;
    for (const item of nodesOf(fields["functions"])) {
      const [call, definitions] = item.kind === "List" ? itemsAllowingGaps(item) : [item];
      if (!call) throw new NotUnderstood("a function in FROM is missing");
      if (call.kind === "FuncCall") own ??= namesOf(call.fields["funcname"]).at(-1) ?? null;
      this.#expressions.node(call, inside);
      if (definitions) columns.push(...this.#columnDefinitions(itemsOf(definitions), inside));
    }
    const definitions = nodesOf(fields["coldeflist"]);
    if (definitions.length > 0) {
      columns.push(...this.#columnDefinitions(definitions, inside));
      isOpen = false;
    }
    // A list of aliases may have renamed it.
    if (fields["ordinality"] === true && alias.columns.length === 0) columns.push("ordinality");
    return derivedSource(alias.name ?? own, columns, isOpen);
  }

  #columnDefinitions(definitions: readonly Node[], inside: Surroundings): string[] {
    return definitions.map(({ kind, fields }) => {
      if (kind !== "ColumnDef") throw new NotUnderstood(`a column definition is a ${kind}`);
      this.#expressions.type(bareOf(fields["typeName"]), inside);
      return textOf(fields["colname"]);
    });
  }

  #xmlTable(fields: Fields, progress: Progress): Source {
    const inside = lateral(progress);
    this.#expressions.field(fields["docexpr"], inside);
    this.#expressions.field(fields["rowexpr"], inside);
    this.#expressions.field(fields["namespaces"], inside);
    const columns = nodesOf(fields["columns"]);
    for (const column of columns) this.#expressions.node(column, inside);
    const names = columns.map((column) => textOf(column.fields["colname"]));
    const alias = aliasOf(fields["alias"]);
    return derived(alias, { names, isOpen: false, lockable: [] });
  }

  #jsonTable(fields: Fields, progress: Progress): Source {
    const inside = lateral(progress);
    this.#expressions.bare("JsonValueExpr", fields["context_item"], inside);
    this.#expressions.bare("JsonTablePathSpec", fields["pathspec"], inside);
    this.#expressions.field(fields["passing"], inside);
    this.#expressions.field(fields["columns"], inside);
    this.#expressions.bare("JsonBehavior", fields["on_error"], inside);
    const names: string[] = [];
    const gather = (columns: readonly Node[]): void => {
      for (const column of columns) {
        const nested = nodesOf(column.fields["columns"]);
        if (nested.length > 0) gather(nested);
        else names.push(textOf(column.fields["name"]));
      }
    };
    gather(nodesOf(fields["columns"]));
    return derived(aliasOf(fields["alias"]), { names, isOpen: false, lockable: [] });
  }

  #join(fields: Fields, progress: Progress): Source[] {
    const left = this.#item(unwrap(fields["larg"]), progress);
    // The right side may refer to the left one.
    const right = this.#item(unwrap(fields["rarg"]), { ...progress, before: [...progress.before, ...left] });
    const both = [...left, ...right];
    limitSources(both);
    markOptional(textOf(fields["jointype"]), left, right);
    const using = namesOf(fields["usingClause"]);
    const { references } = this.#collector;
    if (references === null) referToCompared(left, right, fields["isNatural"] === true, using);
    else references.condition(() => referToCompared(left, right, fields["isNatural"] === true, using));
    if (using.length > 0 || fields["isNatural"] === true) this.#expressions.operatorName(["="]);
    const level: Level = { sources: both, isExact: true, parent: progress.around.level };
    this.#expressions.condition(fields["quals"], { level, tables: progress.around.tables });
    const usingAlias = bareOf(fields["join_using_alias"]);
    const named: Source[] = usingAlias
      ? [{ ...derivedSource(aliasOf(usingAlias).name, using, false), onlyQualified: true }]
      : [];
    const alias = aliasOf(fields["alias"]);
    return alias.name === null ? [...both, ...named] : [...named, joined(alias, both)];
  }
}

/** TABLESAMPLE by a method of the server's own and with plain numbers, as SQL; null: it is another one. */
function sampleClause(fields: Fields): string | null {
  const [method = "", ...more] = namesOf(fields["method"]).toReversed();
  const isBuiltIn = more.length === 0 || (more.length === 1 && more[0] === "pg_catalog");
  const [percentage, ...others] = nodesOf(fields["args"]).map(numberOf);
  if (!isBuiltIn || !SAMPLING_METHODS.has(method) || typeof percentage !== "string" || others.length > 0) return null;
  const clause = `TABLESAMPLE pg_catalog.${method} (${percentage})`;
  if (fields["repeatable"] === undefined) return clause;
  const seed = numberOf(unwrap(fields["repeatable"]));
  return seed === null ? null : `${clause} REPEATABLE (${seed})`;
}

const SAMPLING_METHODS: ReadonlySet<string> = new Set(["bernoulli", "system"]);

/** A number without a sign, or a parameter, as it is written; null: it is something else. */
function numberOf({ kind, fields }: Node): string | null {
  if (kind === "ParamRef") return typeof fields["number"] === "number" ? `$${fields["number"]}` : null;
  if (kind !== "A_Const") return null;
  const whole = bareOf(fields["ival"]);
  // Zero is left out of the tree.
  const value = whole ? (whole["ival"] ?? 0) : null;
  if (typeof value === "number") return value >= 0 ? `${value}` : null;
  const written = textOf(bareOf(fields["fval"])?.["fval"]);
  const isPlain = written !== "" && Array.from(written).every((character) => "0123456789.eE+-".includes(character));
  return isPlain ? written : null;
}

/** The sides of a join whose rows it may show as NULL, or show though the other condition finds none. */
function markOptional(kind: string, left: readonly Source[], right: readonly Source[]): void {
  const isOptional = [
    ...(kind === "JOIN_INNER" || kind === "JOIN_LEFT" ? [] : left),
    ...(kind === "JOIN_INNER" || kind === "JOIN_RIGHT" ? [] : right),
  ];
  for (const { reference } of isOptional) if (reference) reference.isOptional = true;
}

function limitSources(sources: readonly Source[]): void {
  if (sources.length > SOURCES_MAX) throw new NotUnderstood(`it joins more than ${SOURCES_MAX} relations`);
}

/** Everything before an item may be in sight inside it, but need not be (RIGHT and FULL joins hide their left side). */
function lateral({ around, before }: Progress): Surroundings {
  return { level: { sources: [...before], isExact: false, parent: around.level }, tables: around.tables };
}

function aliasOf(value: unknown): Alias {
  const fields = bareOf(value);
  if (!fields) return { name: null, columns: [] };
  checkFields("Alias", fields);
  return { name: textOf(fields["aliasname"]), columns: namesOf(fields["colnames"]) };
}

function derived(alias: Alias, outputs: Outputs): Source {
  const { names, isOpen, keptOut } = renamed(outputs, alias.columns);
  return derivedSource(alias.name, names, isOpen, outputs.lockable, keptOut);
}

/** A function with its column definitions: the second place is empty when there are none. */
function itemsAllowingGaps(list: Node): (Node | undefined)[] {
  return listOf(list.fields["items"]).map((item) => (isGap(item) ? undefined : unwrap(item)));
}

/** A join with an alias hides what is inside it. Listed names may stand for any of its columns, so all of them count. */
function joined(alias: Alias, sources: readonly Source[]): Source {
  const isOpen = sources.some((source) => source.isOpen);
  const uses = sources.flatMap((source) => source.uses);
  const lockable = sources.flatMap((source) => source.lockable);
  const columns = new Map<string, readonly BaseColumn[]>();
  if (alias.columns.length > 0) {
    for (const source of sources) referToRow(source);
    const all = sources.flatMap((source) =>
      [...source.columns.keys()].flatMap((name) => source.columns.get(name) ?? []),
    );
    for (const name of alias.columns) columns.set(name, all);
    return { name: alias.name, schema: null, columns, isOpen: true, uses, lockable, reference: null };
  }
  for (const source of sources) {
    for (const name of source.columns.keys()) {
      columns.set(name, [...(columns.get(name) ?? []), ...(source.columns.get(name) ?? [])]);
    }
  }
  return { name: alias.name, schema: null, columns, isOpen, uses, lockable, reference: null };
}

/** The columns that NATURAL and USING compare. */
function referToCompared(
  left: readonly Source[],
  right: readonly Source[],
  isNatural: boolean,
  using: readonly string[],
): void {
  if (isNatural) {
    referToCommonColumns(left, right);
    for (const source of [...left, ...right]) for (const use of source.uses) use.isWhole = true;
  }
  for (const name of using) {
    referToJoined(left, name);
    referToJoined(right, name);
  }
}

/** A column named by USING, on one side. */
function referToJoined(side: readonly Source[], name: string): void {
  let isFound = false;
  for (const source of side) {
    const columns = source.onlyQualified ? undefined : source.columns.get(name);
    if (columns) {
      referToColumn(columns);
      isFound = true;
    }
  }
  if (!isFound) for (const source of side) for (const use of source.uses) use.columnsUnknown ||= !source.isOpen;
}

/** NATURAL joins by every name that both sides have; by any, when a side's names are not known. */
function referToCommonColumns(left: readonly Source[], right: readonly Source[]): void {
  referToThoseOf(left, right);
  referToThoseOf(right, left);
}

function referToThoseOf(side: readonly Source[], other: readonly Source[]): void {
  const isOtherOpen = other.some((source) => source.isOpen);
  for (const source of side) {
    for (const name of source.columns.keys()) {
      const isCommon = isOtherOpen || other.some((candidate) => candidate.columns.has(name));
      if (isCommon) referToColumn(source.columns.get(name) ?? []);
    }
  }
}
