/** The FROM lists of a view's definition: the stored columns behind what they show, and what decides their rows. */
import { isAmbientRelation } from "../describe/catalog-relations.ts";
import { checkFields } from "../describe/expression.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import { bareOf, isGap, itemsOf, listOf, namesOf, nodesOf, NotUnderstood, textOf, unwrap } from "../describe/tree.ts";
import type { Node } from "../describe/tree.ts";
import { BUILT_IN_SCHEMAS } from "../known-names.ts";
import type { Fields } from "../parser.ts";
import type { LineageExpressions, SelectReader } from "./lineage-expression.ts";
import type { LineageNames, Nesting, Place, ReadableRelation } from "./lineage-place.ts";
import {
  columnKey,
  type Level,
  makeSource,
  NO_READS,
  type Reads,
  readsOfName,
  renamed,
  type Source,
  union,
} from "./lineage-scope.ts";

export class LineageFrom {
  /** Oids of the relations that were read, those of pg_catalog and information_schema left out. */
  readonly relations = new Set<number>();
  readonly #names: LineageNames;
  readonly #nesting: Nesting;
  readonly #expressions: LineageExpressions;
  readonly #select: SelectReader;

  constructor(names: LineageNames, nesting: Nesting, expressions: LineageExpressions, select: SelectReader) {
    this.#names = names;
    this.#nesting = nesting;
    this.#expressions = expressions;
    this.#select = select;
  }

  /** The sources of a list. */
  list(items: readonly Node[], around: Place): Source[] {
    const sources: Source[] = [];
    for (const item of items) sources.push(...this.#item(item, around, sources));
    return sources;
  }

  /** The sources that an item adds. `before` may be in sight inside it. */
  #item(node: Node, around: Place, before: readonly Source[]): Source[] {
    return this.#nesting.in(() => this.#readItem(node, around, before));
  }

  #readItem({ kind, fields }: Node, around: Place, before: readonly Source[]): Source[] {
    const lateral: Place = { ...around, level: { sources: before, parent: around.level } };
    const { gates } = around;
    switch (kind) {
      case "RangeVar":
        return [this.#relation(fields, around)];
      case "RangeSubselect": {
        checkFields(kind, fields);
        const query = unwrap(fields["subquery"]);
        if (query.kind !== "SelectStmt") throw new NotUnderstood("FROM holds what is no query");
        const outputs = this.#select(query.fields, fields["lateral"] === true ? lateral : around);
        const alias = aliasOf(fields);
        return [makeSource(alias.name, renamed(outputs, alias.columns))];
      }
      case "RangeFunction":
        return [this.#function(fields, lateral)];
      case "RangeTableFunc":
      case "JsonTable": {
        // Every expression in it decides how many rows there are.
        const { alias, ...rest } = fields;
        checkFields(kind, fields);
        const reads = this.#expressions.anything(rest, lateral);
        gates.add(reads);
        const { name, columns } = aliasOf({ alias });
        return [makeSource(name, renamed([], columns, reads), { isOpen: true, all: reads })];
      }
      case "RangeTableSample": {
        checkFields(kind, fields);
        this.#expressions.called(namesOf(fields["method"]));
        gates.add(
          this.#expressions.field(fields["args"], lateral),
          this.#expressions.field(fields["repeatable"], lateral),
        );
        return this.#item(unwrap(fields["relation"]), around, before);
      }
      case "JoinExpr":
        return this.#join(fields, around, before);
      default:
        throw new NotUnderstood(`a ${kind} in FROM is not known`);
    }
  }

  #relation(fields: Fields, { tables }: Place): Source {
    checkFields("RangeVar", fields);
    const alias = aliasOf(fields);
    const own = textOf(fields["relname"]);
    const schema = textOf(fields["schemaname"]);
    if (schema === "") {
      for (let at = tables; at; at = at.parent) {
        const table = at.columns.get(own);
        if (table === undefined) continue;
        const columns = renamed(table.shown, alias.columns, table.isOpen ? NO_READS : null);
        return makeSource(alias.name ?? own, columns, { isOpen: table.isOpen });
      }
    }
    // What is not qualified here is in pg_catalog: nothing else is searched.
    const relation = this.#names.relation(schema === "" ? "pg_catalog" : schema, own);
    if (relation === undefined) throw new NotUnderstood(`relation "${joinIdentifier(schema, own)}" is not known`);
    if (BUILT_IN_SCHEMAS.has(relation.schema)) {
      const full = joinIdentifier(relation.schema, relation.name);
      const names = relation.columns.map(({ name }) => name);
      if (!isAmbientRelation(full, new Set(names))) throw new NotUnderstood(`it reads ${full}`);
      const columns = names.map((name) => ({ name, reads: NO_READS }));
      return makeSource(alias.name ?? own, renamed(columns, alias.columns), {
        schema: alias.name === null ? relation.schema : null,
      });
    }
    this.relations.add(relation.oid);
    const source = ownSource(relation, alias.name ?? own, alias.name === null ? relation.schema : null);
    return { ...source, columns: renamed(source.columns, alias.columns) };
  }

  #function(fields: Fields, lateral: Place): Source {
    checkFields("RangeFunction", fields);
    const alias = aliasOf(fields);
    const reads: Reads[] = [];
    const names = [...alias.columns];
    let own: string | null = null;
    for (const item of nodesOf(fields["functions"])) {
      const [call, definitions] = listOf(item.fields["items"]);
      const callee = unwrap(call);
      if (callee.kind === "FuncCall") own ??= namesOf(callee.fields["funcname"]).at(-1) ?? null;
      reads.push(this.#expressions.node(callee, lateral));
      if (definitions !== undefined && !isGap(definitions)) names.push(...columnNames(itemsOf(unwrap(definitions))));
    }
    names.push(...columnNames(nodesOf(fields["coldeflist"])));
    const all = union(reads);
    lateral.gates.add(all);
    return makeSource(alias.name ?? own, renamed([], names, all), { isOpen: true, all });
  }

  #join(fields: Fields, around: Place, before: readonly Source[]): Source[] {
    checkFields("JoinExpr", fields);
    if (fields["isNatural"] === true) throw new NotUnderstood("a natural join is not written out");
    const left = this.#item(unwrap(fields["larg"]), around, before);
    const right = this.#item(unwrap(fields["rarg"]), around, [...before, ...left]);
    const both: Level = { sources: [...left, ...right], parent: around.level };
    const using = namesOf(fields["usingClause"]);
    const merged = using.map((name) => {
      const sides = [left, right].map((sources) => readsOfName({ sources, parent: null }, name));
      return { name, reads: union(sides) };
    });
    around.gates.add(...merged.map(({ reads }) => reads));
    around.gates.add(this.#expressions.field(fields["quals"], { ...around, level: both }));
    const named: Source[] = [];
    const usingAlias = bareOf(fields["join_using_alias"]);
    if (usingAlias) named.push({ ...makeSource(textOf(usingAlias["aliasname"]), merged), onlyQualified: true });
    const alias = aliasOf(fields);
    if (alias.name === null) return [...both.sources, ...named];
    const visible = both.sources.filter((source) => !source.onlyQualified);
    const rest = visible.flatMap(({ columns }) => columns).filter(({ name }) => !using.includes(name));
    const open = visible.some(({ isOpen }) => isOpen);
    const all = union(visible.map((source) => source.all));
    // Where the columns of one side are not known, a listed name may stand for any.
    const columns =
      open && alias.columns.length > 0
        ? alias.columns.map((name) => ({ name, reads: all }))
        : renamed([...merged, ...rest], alias.columns);
    return [makeSource(alias.name, columns, { isOpen: open, all }), ...named];
  }
}

/** A relation with its own columns. */
export function ownSource(relation: ReadableRelation, name: string, schema: string | null): Source {
  const columns = relation.columns.map((column) => ({
    name: column.name,
    reads: new Set([columnKey(relation.oid, column.attnum)]),
  }));
  return makeSource(name, columns, { schema });
}

function aliasOf(fields: Fields): { readonly name: string | null; readonly columns: readonly string[] } {
  const alias = bareOf(fields["alias"]);
  if (!alias) return { name: null, columns: [] };
  checkFields("Alias", alias);
  return { name: textOf(alias["aliasname"]), columns: namesOf(alias["colnames"]) };
}

function columnNames(definitions: readonly Node[]): string[] {
  return definitions.map(({ kind, fields }) => {
    if (kind !== "ColumnDef") throw new NotUnderstood(`a column definition is a ${kind}`);
    return textOf(fields["colname"]);
  });
}
