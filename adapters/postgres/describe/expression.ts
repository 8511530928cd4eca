/** Reads expressions: the columns they refer to and the functions they call, spelled in whatever way. */
import type { Fields } from "../parser.ts";
import type { Collector } from "./collector.ts";
import { splitIdentifier } from "./identifier.ts";
import { KNOWN_FIELDS, NODE_FIELDS } from "./node-fields.ts";
import type { Calls, Resolver } from "./resolver.ts";
import { referByName, referQualified, referToAllOf, referToRow } from "./scope.ts";
import type { Level } from "./scope.ts";
import { bareOf, isGap, listOf, nameOf, namesOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** Deeper trees are refused, so that walking them cannot exhaust the stack. */
const DEPTH_MAX = 1_000;

/** The common table expressions in sight, and what else a nested query inherits. */
export type Surroundings = { readonly level: Level; readonly tables: WithTables | null };

/** Named queries of WITH clauses, inner before outer. */
export type WithTables = {
  readonly tables: ReadonlyMap<string, { readonly columns: readonly string[]; readonly isOpen: boolean }>;
  readonly parent: WithTables | null;
};

/** Reads a query inside an expression; its outputs are named there. */
export type QueryReader = (query: Node, surroundings: Surroundings) => void;

/** Refuses a node with a field that is not known to be harmless. */
export function checkFields(kind: string, fields: Fields): void {
  const known = KNOWN_FIELDS[kind];
  if (!known) throw new NotUnderstood(`a ${kind} is not known`);
  for (const field in fields) {
    if (!known.has(field)) throw new NotUnderstood(`a ${kind} has an unknown part ${field}`);
  }
}

export class ExpressionReader {
  readonly #collector: Collector;
  readonly #resolver: Resolver;
  readonly #readQuery: QueryReader;
  #depth = 0;

  constructor(collector: Collector, resolver: Resolver, readQuery: QueryReader) {
    this.#collector = collector;
    this.#resolver = resolver;
    this.#readQuery = readQuery;
  }

  /** One more level of nesting, of queries too. */
  nest(read: () => void): void {
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood(`it is nested more than ${DEPTH_MAX} deep`);
    read();
    this.#depth--;
  }

  /** A field with one expression or a list of them; nothing when it is left out. */
  field(value: unknown, surroundings: Surroundings): void {
    if (value === undefined) return;
    if (Array.isArray(value)) {
      for (const item of value) if (!isGap(item)) this.node(unwrap(item), surroundings);
      return;
    }
    this.node(unwrap(value), surroundings);
  }

  node(node: Node, surroundings: Surroundings): void {
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood(`it is nested more than ${DEPTH_MAX} deep`);
    this.#read(node, surroundings);
    this.#depth--;
  }

  #read({ kind, fields }: Node, surroundings: Surroundings): void {
    switch (kind) {
      case "ColumnRef":
        return this.#columnReference(fields, surroundings);
      case "A_Expr":
        return this.#operator(fields, surroundings);
      case "FuncCall":
        return this.functionCall(fields, surroundings);
      case "A_Indirection":
        return this.#indirection(fields, surroundings);
      case "CollateClause":
        checkFields(kind, fields);
        return this.field(fields["arg"], surroundings);
      case "ResTarget":
        checkFields(kind, fields);
        this.field(fields["indirection"], surroundings);
        return this.field(fields["val"], surroundings);
      case "TypeName":
        return this.type(fields, surroundings);
      default:
        return this.#plain(kind, fields, surroundings);
    }
  }

  /** Constructs that compare by `=` without naming it. */
  #impliedOperator(kind: string, fields: Fields): void {
    const isImplied =
      (kind === "SubLink" && fields["subLinkType"] === "ANY_SUBLINK" && fields["operName"] === undefined) ||
      (kind === "CaseExpr" && fields["arg"] !== undefined);
    if (isImplied) this.operatorName(["="]);
  }

  /** A node that the table describes. */
  #plain(kind: string, fields: Fields, surroundings: Surroundings): void {
    const roles = NODE_FIELDS[kind];
    if (!roles) throw new NotUnderstood(`a ${kind} is not known`);
    this.#impliedOperator(kind, fields);
    for (const field in fields) {
      const value = fields[field];
      const role = Object.hasOwn(roles, field) ? roles[field] : undefined;
      if (role === "-") continue;
      if (role === undefined) throw new NotUnderstood(`a ${kind} has an unknown part ${field}`);
      if (role === "e") this.field(value, surroundings);
      else if (role === "q") this.#readQuery(unwrap(value), surroundings);
      else if (role === "t") this.type(bareOf(value), surroundings);
      else if (role === "o") this.operatorName(namesOf(value));
      else this.#bare(role.slice(1), bareOf(value), surroundings);
    }
  }

  #bare(kind: string, fields: Fields | null, surroundings: Surroundings): void {
    if (fields) this.nest(() => this.#plain(kind, fields, surroundings));
  }

  /** A bare node of a kind that the table describes. */
  bare(kind: string, value: unknown, surroundings: Surroundings): void {
    this.#bare(kind, bareOf(value), surroundings);
  }

  #columnReference(fields: Fields, { level }: Surroundings): void {
    checkFields("ColumnRef", fields);
    const parts = nodesOf(fields["fields"]);
    const last = parts.at(-1);
    if (!last || parts.length > 4) throw new NotUnderstood("a column's name has too many parts");
    const names = parts.slice(0, -1).map(nameOf);
    const sourceName = names.at(-1);
    const schema = names.at(-2) ?? null;
    if (last.kind === "A_Star") {
      if (sourceName === undefined) for (const source of level.sources) referToRowUnlessQualified(source);
      else referToAllOf(level, schema, sourceName);
      return;
    }
    const name = nameOf(last);
    if (sourceName === undefined) referByName(level, name);
    // `c.f` calls f with the row when c has no such column, and nobody knows all columns of some sources.
    else if (!referQualified(level, schema, sourceName, name)) this.#callIfFunction([name]);
  }

  #operator(fields: Fields, surroundings: Surroundings): void {
    checkFields("A_Expr", fields);
    // BETWEEN stands for comparisons that it does not name.
    if (textOf(fields["kind"]).includes("BETWEEN"))
      for (const symbol of ["<=", ">=", "<", ">"]) this.operatorName([symbol]);
    else this.operatorName(namesOf(fields["name"]));
    this.field(fields["lexpr"], surroundings);
    this.field(fields["rexpr"], surroundings);
  }

  operatorName(parts: readonly string[]): void {
    this.#collect(this.#resolver.operator(parts));
  }

  /** A call: the function, its arguments, and what its clauses refer to. */
  functionCall(fields: Fields, surroundings: Surroundings): void {
    checkFields("FuncCall", fields);
    const name = namesOf(fields["funcname"]);
    const callArguments = listOf(fields["args"]);
    if (!this.#isSequenceUpdate(name, callArguments)) this.#callee(name, callArguments.length, surroundings);
    this.field(fields["args"], surroundings);
    this.field(fields["agg_order"], surroundings);
    this.field(fields["agg_filter"], surroundings);
    this.#bare("WindowDef", bareOf(fields["over"]), surroundings);
  }

  /** nextval and setval of a sequence that is named by a constant write to that sequence, and do nothing else. */
  #isSequenceUpdate(name: readonly string[], callArguments: readonly unknown[]): boolean {
    if (!SEQUENCE_FUNCTIONS.has(name.at(-1) ?? "") || !this.#resolver.isCatalogFunction(name)) return false;
    const text = constantText(callArguments[0]);
    const parts = text === null ? null : splitIdentifier(text);
    if (parts === null || parts.length > 3) return false;
    const relation = this.#resolver.relation(parts.at(-2) ?? "", parts.at(-1) ?? "", parts.at(-3) ?? "");
    this.#collector.relation("update", "write", relation);
    return true;
  }

  /** With one argument, a call may be a column of a row, or a cast, written as a call. */
  #callee(name: readonly string[], argumentCount: number, { level }: Surroundings): void {
    const [only] = name;
    if (!this.#resolver.isFunction(name) && argumentCount === 1 && only !== undefined && name.length === 1) {
      if (someSourceShows(level, only)) return;
      if (this.#resolver.isType(only)) {
        this.#collect(this.#resolver.type(name));
        return;
      }
    }
    this.#collect(this.#resolver.call(name));
  }

  #indirection(fields: Fields, surroundings: Surroundings): void {
    checkFields("A_Indirection", fields);
    this.field(fields["arg"], surroundings);
    for (const step of nodesOf(fields["indirection"])) {
      // `(row).f` is a field of the row, or calls f with it; the row itself has been read whole.
      if (step.kind === "String") this.#callIfFunction([nameOf(step)]);
      else if (step.kind !== "A_Star") this.node(step, surroundings);
    }
  }

  #callIfFunction(name: readonly string[]): void {
    if (this.#resolver.isFunction(name)) this.#collect(this.#resolver.call(name));
  }

  /** A type, and what its modifiers refer to. */
  type(fields: Fields | null, surroundings: Surroundings): void {
    if (!fields) return;
    checkFields("TypeName", fields);
    if (fields["pct_type"] !== true) this.#collect(this.#resolver.type(namesOf(fields["names"])));
    // Modifiers are constants, or names that are no columns.
    for (const modifier of nodesOf(fields["typmods"])) {
      if (modifier.kind !== "ColumnRef") this.node(modifier, surroundings);
    }
  }

  #collect(calls: Calls): void {
    if (calls.kind === "functions") this.#collector.execute(calls.names);
    else if (calls.kind === "unknown") this.#collector.executeUnknown(calls.because);
  }

  /** A function by name, outside any expression (a sampling method, a trigger's function). */
  functionName(name: readonly string[]): void {
    this.#collect(this.#resolver.call(name));
  }
}

const SEQUENCE_FUNCTIONS: ReadonlySet<string> = new Set(["nextval", "setval"]);

/** The text of a constant, bare or cast to regclass. */
function constantText(value: unknown): string | null {
  if (value === undefined) return null;
  const { kind, fields } = unwrap(value);
  if (kind === "TypeCast") {
    const names = namesOf(bareOf(fields["typeName"])?.["names"]);
    const isRegclass = names.at(-1) === "regclass" && (names.length === 1 || names[0] === "pg_catalog");
    return isRegclass ? constantText(fields["arg"]) : null;
  }
  const text = kind === "A_Const" ? bareOf(fields["sval"]) : null;
  return text ? textOf(text["sval"]) : null;
}

function referToRowUnlessQualified(source: Level["sources"][number]): void {
  if (!source.onlyQualified) referToRow(source);
}

/** Does anything in sight have a column of this name? Then `name(row)` is that column. */
function someSourceShows(level: Level, name: string): boolean {
  for (let at: Level | null = level; at; at = at.parent) {
    if (at.sources.some((source) => source.columns.has(name))) return true;
  }
  return false;
}
