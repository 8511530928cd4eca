/** The stored columns that expressions of a view's definition read. */
import { checkFields } from "../describe/expression.ts";
import { NODE_FIELDS } from "../describe/node-fields.ts";
import { bareOf, isGap, nameOf, namesOf, nodesOf, NotUnderstood, unwrap } from "../describe/tree.ts";
import type { Node } from "../describe/tree.ts";
import { type Fields, isFields } from "../parser.ts";
import { unsafeBuiltIn } from "./built-in-calls.ts";
import { Gates, type LineageNames, type Nesting, type Outputs, type Place } from "./lineage-place.ts";
import { type Level, NO_READS, type Reads, readsOfName, readsOfQualified, union } from "./lineage-scope.ts";

/** Reads a query inside an expression. */
export type SelectReader = (fields: Fields, place: Place) => Outputs;

export class LineageExpressions {
  /** Functions of pg_catalog that are not known to be safe, as `pg_catalog.name`. */
  readonly calls = new Set<string>();
  readonly #names: LineageNames;
  readonly #nesting: Nesting;
  readonly #select: SelectReader;

  constructor(names: LineageNames, nesting: Nesting, select: SelectReader) {
    this.#names = names;
    this.#nesting = nesting;
    this.#select = select;
  }

  /** One expression or a list of them; nothing when it is left out. */
  field(value: unknown, place: Place): Reads {
    if (value === undefined) return NO_READS;
    if (Array.isArray(value))
      return union(value.filter((item) => !isGap(item)).map((item) => this.node(unwrap(item), place)));
    return this.node(unwrap(value), place);
  }

  node(node: Node, place: Place): Reads {
    return this.#nesting.in(() => this.#read(node, place));
  }

  #read({ kind, fields }: Node, place: Place): Reads {
    switch (kind) {
      case "ColumnRef":
        checkFields(kind, fields);
        return columnReads(nodesOf(fields["fields"]), place.level);
      case "SelectStmt":
        return this.#subquery(fields, place);
      case "FuncCall":
        return this.#call(fields, place);
      case "A_Expr":
        checkFields(kind, fields);
        return union([this.field(fields["lexpr"], place), this.field(fields["rexpr"], place)]);
      case "A_Indirection":
        checkFields(kind, fields);
        return union([
          this.field(fields["arg"], place),
          ...nodesOf(fields["indirection"])
            .filter((step) => step.kind !== "String" && step.kind !== "A_Star")
            .map((step) => this.node(step, place)),
        ]);
      case "CollateClause":
        checkFields(kind, fields);
        return this.field(fields["arg"], place);
      case "TypeName":
        return NO_READS;
      default:
        return this.#plain(kind, fields, place);
    }
  }

  #plain(kind: string, fields: Fields, place: Place): Reads {
    const roles = NODE_FIELDS[kind];
    if (!roles) throw new NotUnderstood(`a ${kind} is not known`);
    const reads: Reads[] = [];
    for (const field in fields) {
      const role = Object.hasOwn(roles, field) ? roles[field] : undefined;
      if (role === undefined) throw new NotUnderstood(`a ${kind} has an unknown part ${field}`);
      const value = fields[field];
      // Operators and types with functions of the database's own are among the view's dependencies.
      if (role === "-" || role === "t" || role === "o") continue;
      if (role === "e" || role === "q") reads.push(this.field(value, place));
      else {
        const bare = bareOf(value);
        if (bare) reads.push(this.#nesting.in(() => this.#plain(role.slice(1), bare, place)));
      }
    }
    return union(reads);
  }

  /** All that it reads, as one value: a query inside an expression. */
  #subquery(fields: Fields, place: Place): Reads {
    const gates = new Gates();
    const outputs = this.#select(fields, { ...place, gates });
    return union([gates.reads, ...outputs.map(({ reads }) => reads)]);
  }

  #call(fields: Fields, place: Place): Reads {
    checkFields("FuncCall", fields);
    const name = namesOf(fields["funcname"]);
    this.called(name);
    const over = bareOf(fields["over"]);
    const reads = union([
      this.field(fields["args"], place),
      this.field(fields["agg_order"], place),
      this.field(fields["agg_filter"], place),
      over ? this.#plain("WindowDef", over, place) : NO_READS,
    ]);
    if (this.#names.returnsSet(name.at(-1) ?? "")) place.gates.add(reads);
    return reads;
  }

  /** Those with another schema are among the view's dependencies. */
  called(name: readonly string[]): void {
    const call = unsafeBuiltIn(name);
    if (call !== null) this.calls.add(call);
  }

  /** Every expression anywhere in it. */
  anything(value: unknown, place: Place): Reads {
    if (Array.isArray(value)) return union(value.map((item: unknown) => this.anything(item, place)));
    if (!isFields(value)) return NO_READS;
    const reads: Reads[] = [];
    for (const [key, inner] of Object.entries(value)) {
      if (key === "RangeVar") throw new NotUnderstood("a relation stands where it has no meaning");
      const isRead = isFields(inner) && READ_KINDS.has(key);
      reads.push(
        isRead ? this.node({ kind: key, fields: inner }, place) : this.#nesting.in(() => this.anything(inner, place)),
      );
    }
    return union(reads);
  }
}

const READ_KINDS: ReadonlySet<string> = new Set(["ColumnRef", "FuncCall", "SelectStmt"]);

function columnReads(parts: readonly Node[], level: Level): Reads {
  const last = parts.at(-1);
  if (!last || parts.length > 4) throw new NotUnderstood("a column's name has too many parts");
  const names = parts.slice(0, -1).map(nameOf);
  const sourceName = names.at(-1);
  const schema = names.at(-2) ?? null;
  if (sourceName !== undefined) {
    return readsOfQualified(level, schema, sourceName, last.kind === "A_Star" ? null : nameOf(last));
  }
  if (last.kind === "A_Star") return union(level.sources.map(({ all }) => all));
  return readsOfName(level, nameOf(last));
}
