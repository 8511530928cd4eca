/** What a defining statement evaluates, wherever it stands in it: defaults, checks, conditions, index expressions. */
import { UNKNOWN } from "../../../src/core/operation.ts";
import { isFields } from "../parser.ts";
import type { Fields } from "../parser.ts";
import { classOf } from "../vocabulary.ts";
import type { Collector } from "./collector.ts";
import type { DefinedNames } from "./defined-names.ts";
import type { Surroundings } from "./expression.ts";
import { joinIdentifier } from "./identifier.ts";
import { NODE_FIELDS } from "./node-fields.ts";
import type { QueryReader } from "./query.ts";
import type { Resolver } from "./resolver.ts";
import { bareOf, itemsOf, listOf, nameOf, namesOf, nodesOf, textOf } from "./tree.ts";

export class Evaluation {
  readonly #collector: Collector;
  readonly #resolver: Resolver;
  readonly #queries: QueryReader;
  readonly #names: DefinedNames;

  constructor(collector: Collector, resolver: Resolver, queries: QueryReader, names: DefinedNames) {
    this.#collector = collector;
    this.#resolver = resolver;
    this.#queries = queries;
    this.#names = names;
  }

  /** Whatever is evaluated anywhere in a statement: expressions and queries, and the tables that foreign keys refer to. */
  fields(value: unknown, around: Surroundings): void {
    if (Array.isArray(value)) {
      for (const item of value) this.fields(item, around);
      return;
    }
    if (!isFields(value)) return;
    this.#queries.expressions.nest(() => {
      for (const [name, field] of Object.entries(value)) this.#field(name, field, around);
    });
  }

  #field(name: string, field: unknown, around: Surroundings): void {
    if (EXPRESSION_KINDS.has(name)) this.#queries.expressions.node({ kind: name, fields: bareOf(field) ?? {} }, around);
    else if (name === "SelectStmt") this.#queries.statement({ kind: name, fields: bareOf(field) ?? {} }, around);
    else if (name === "Constraint") this.#constraint(bareOf(field) ?? {}, around);
    else if (name === "PartitionCmd") this.#partition(bareOf(field), around);
    else if (name === "AlterTableCmd") this.#tableCommand(bareOf(field) ?? {}, around);
    else if (COLUMN_NAMING_FIELDS.has(name) && !isFields(field)) this.#columnNames(field, around);
    // A type in a definition is not cast to.
    else if (name !== "typeName" && name !== "TypeName") this.fields(field, around);
  }

  /** INHERIT and NO INHERIT change what the parent shows; a column that gets another type is cast to it, row by row. */
  #tableCommand(fields: Fields, around: Surroundings): void {
    const { def: definition, ...rest } = fields;
    const column = isFields(definition) ? bareOf(definition["ColumnDef"]) : null;
    if (column && textOf(fields["subtype"]) === "AT_AlterColumnType")
      this.#queries.expressions.type(bareOf(column["typeName"]), around);
    const parent = isFields(definition) ? bareOf(definition["RangeVar"]) : null;
    if (!parent) return this.fields({ ...rest, def: definition }, around);
    this.#names.existing("alter table", parent);
    this.fields(rest, around);
  }

  /** ATTACH and DETACH PARTITION change the partition too. */
  #partition(fields: Fields | null, around: Surroundings): void {
    const range = bareOf(fields?.["name"]);
    if (range) this.#names.changed("alter table", range);
    this.fields(fields?.["bound"], around);
  }

  /** A foreign key reads the table it refers to: it tells which values are there. Without columns, by its primary key. */
  #constraint(fields: Fields, around: Surroundings): void {
    const { pktable, pk_attrs: referenced, ...rest } = fields;
    this.fields(rest, around);
    // EXCLUDE (column WITH operator): pairs of both.
    for (const exclusion of nodesOf(fields["exclusions"]))
      for (const part of itemsOf(exclusion))
        if (part.kind === "List") this.#queries.expressions.operatorName(itemsOf(part).map(nameOf));
    const range = bareOf(pktable);
    if (!range) return;
    const schema = textOf(range["schemaname"]);
    const own = textOf(range["relname"]);
    // A table that refers to itself, or to one that was made just before: there is nothing in it to be told.
    if (this.#names.isRedefined(own)) return;
    const relation = this.#resolver.relation(schema, own);
    if (relation.columns === null) {
      const relations = schema === "" ? UNKNOWN : [joinIdentifier(schema, own)];
      this.#collector.other(classOf("select"), "select", { relations, columns: UNKNOWN });
      return;
    }
    const use = this.#collector.relation("select", classOf("select"), relation);
    const names = namesOf(referenced);
    if (names.length === 0) use.columnsUnknown = true;
    for (const name of names) use.columns.add(name);
  }

  /** A column by name, of the relation at hand. */
  #columnNames(field: unknown, { level }: Surroundings): void {
    const names = typeof field === "string" ? [field] : listOf(field).flatMap((item) => nameOrNothing(item));
    for (const name of names) {
      for (const source of level.sources)
        for (const base of source.columns.get(name) ?? []) base.use.columns.add(base.column);
    }
  }
}

const EXPRESSION_KINDS: ReadonlySet<string> = new Set([
  // In a definition, a list holds other things too.
  ...Object.keys(NODE_FIELDS).filter((kind) => kind !== "List"),
  "ColumnRef",
  "A_Expr",
  "FuncCall",
  "A_Indirection",
  "CollateClause",
]);

/** Fields whose text or names are columns of the relation at hand. */
const COLUMN_NAMING_FIELDS: ReadonlySet<string> = new Set([
  "name",
  "keys",
  "fk_attrs",
  "including",
  "columns",
  "va_cols",
]);

function nameOrNothing(item: unknown): string[] {
  if (!isFields(item)) return [];
  const string = item["String"];
  return isFields(string) ? [textOf(string["sval"])] : [];
}
