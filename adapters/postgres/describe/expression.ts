/** Reads expressions: the columns they refer to and the functions they call, spelled in whatever way. */
import { isGovernedSetting } from "../mask/governed-statements.ts";
import { quoteIdentifier, quoteQualified } from "../quote.ts";
import { joinSearchPath, parseSearchPath } from "../search-path.ts";
import { classOf } from "../vocabulary.ts";
import type { Fields } from "../parser.ts";
import type { Collector } from "./collector.ts";
import { splitIdentifier } from "./identifier.ts";
import type { KeptOut } from "./kept-out.ts";
import { KNOWN_FIELDS, NODE_FIELDS } from "./node-fields.ts";
import type { References } from "./references.ts";
import type { Calls, Resolver } from "./resolver.ts";
import { isOrdinaryWhateverValue } from "./setting.ts";
import { referByName, referQualified, referToAllOf, referToRow, schemaQualified } from "./scope.ts";
import type { Level } from "./scope.ts";
import { bareOf, isGap, listOf, nameOf, namesOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** Deeper trees are refused, so that walking them cannot exhaust the stack. */
const DEPTH_MAX = 1_000;

/** The common table expressions in sight, and what else a nested query inherits. */
export type Surroundings = { readonly level: Level; readonly tables: WithTables | null };

/** Named queries of WITH clauses, inner before outer. */
export type WithTables = {
  readonly tables: ReadonlyMap<string, WithTable>;
  readonly parent: WithTables | null;
};

export type WithTable = { readonly columns: readonly string[]; readonly isOpen: boolean; readonly keptOut?: KeptOut };

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
  nest<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood(`it is nested more than ${DEPTH_MAX} deep`);
    const found = read();
    this.#depth--;
    return found;
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

  /** As field(), of what chooses, orders or groups rows. */
  condition(value: unknown, surroundings: Surroundings): void {
    const { references } = this.#collector;
    if (references === null) this.field(value, surroundings);
    else if (value !== undefined) references.condition(() => this.field(value, surroundings));
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
      if (role === "e") {
        if (CONDITION_FIELDS[kind]?.includes(field) === true) this.condition(value, surroundings);
        else this.field(value, surroundings);
      } else if (role === "q") this.#query(kind, fields, unwrap(value), surroundings);
      else if (role === "t") this.type(bareOf(value), surroundings);
      else if (role === "o") this.operatorName(namesOf(value));
      else this.#bare(role.slice(1), bareOf(value), surroundings);
    }
  }

  /** What stands before ANY or ALL is compared with what the query behind it shows. */
  #query(kind: string, around: Fields, query: Node, surroundings: Surroundings): void {
    const { references } = this.#collector;
    if (references !== null && kind === "SubLink" && around["testexpr"] !== undefined)
      references.condition(() => this.#readQuery(query, surroundings));
    else this.#readQuery(query, surroundings);
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
    if (schema !== null && sourceName !== undefined) this.#schemaName(fields, level, schema, sourceName, last);
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

  /** The schema of a source that is replaced by what masks show of it is not in sight any more. */
  #schemaName(column: Fields, level: Level, schema: string, sourceName: string, last: Node): void {
    const { references } = this.#collector;
    const found = references && schemaQualified(level, schema, sourceName);
    if (!references || !found?.source.reference) return;
    const expression =
      last.kind === "A_Star" ? `${quoteIdentifier(sourceName)}.*` : quoteQualified(sourceName, nameOf(last));
    references.schemaName(column, found.source.reference, expression, found.isAmbiguous);
  }

  #operator(fields: Fields, surroundings: Surroundings): void {
    checkFields("A_Expr", fields);
    // BETWEEN stands for comparisons that it does not name.
    if (textOf(fields["kind"]).includes("BETWEEN"))
      for (const symbol of ["<=", ">=", "<", ">"]) this.operatorName([symbol]);
    else this.operatorName(namesOf(fields["name"]));
    if (this.#collector.references !== null && !isConcatenation(fields)) {
      this.condition(fields["lexpr"], surroundings);
      this.condition(fields["rexpr"], surroundings);
      return;
    }
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
    const isKnown =
      this.#isSequenceUpdate(name, callArguments) ||
      this.#isSettingChange(name, callArguments) ||
      this.#isSourceHidden(name, fields);
    if (!isKnown) this.#callee(name, callArguments.length, surroundings);
    if (name.at(-1) === "current_setting") this.#collector.references?.callsSetting(constantText(callArguments[0]));
    if (fields["agg_distinct"] === true) this.condition(fields["args"], surroundings);
    else this.field(fields["args"], surroundings);
    this.condition(fields["agg_order"], surroundings);
    this.condition(fields["agg_filter"], surroundings);
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

  /** Sources of functions are NULL where columns are masked, as pg_proc.prosrc is: psql's \df+ asks for both. */
  #isSourceHidden(name: readonly string[], call: Fields): boolean {
    const { references } = this.#collector;
    const isMeant = name.at(-1) === SOURCE_FUNCTION && listOf(call["args"]).length === 1;
    if (references === null || !isMeant || !this.#resolver.isCatalogFunction(name)) return false;
    references.callsOfNull(call, `pg_catalog.${SOURCE_FUNCTION}(NULL::pg_catalog.oid)`);
    return true;
  }

  /** set_config of a setting named by a constant, to a value that the client says: drivers write SET so. */
  #isSettingChange(name: readonly string[], callArguments: readonly unknown[]): boolean {
    if (name.at(-1) !== "set_config" || !this.#resolver.isCatalogFunction(name)) return false;
    const setting = constantText(callArguments[0])?.toLowerCase() ?? "";
    const value = callArguments[1] === undefined ? null : unwrap(callArguments[1]);
    if (value?.kind !== "A_Const" && value?.kind !== "ParamRef") return false;
    const { references } = this.#collector;
    const isPinned = references !== null && setting === "search_path" && repins(references, value);
    if (isPinned) this.#collector.setsPath = true;
    else if (!isOrdinaryWhateverValue(setting) || (references !== null && !isGovernedSetting(setting))) return false;
    this.#collector.other(classOf("set"), "set", {}, { ambient: true });
    return true;
  }

  /** With one argument, a call may be a column of a row, or a cast, written as a call. */
  #callee(name: readonly string[], argumentCount: number, { level }: Surroundings): void {
    const [only] = name;
    if (!this.#resolver.isFunction(name) && argumentCount === 1 && only !== undefined && name.length === 1) {
      // Of a row it is the column; of anything else the cast, though there may be such a column.
      if (this.#resolver.isType(only)) {
        this.#collect(this.#resolver.type(name));
        return;
      }
      if (someSourceShows(level, only)) return;
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
    else this.#collector.executeUnknown(calls.because);
  }

  /** A function by name, outside any expression (a sampling method, a trigger's function). */
  functionName(name: readonly string[]): void {
    this.#collect(this.#resolver.call(name));
  }
}

/** Expressions whose value tells of another without showing it. */
const CONDITION_FIELDS: Readonly<Record<string, readonly string[]>> = {
  BoolExpr: ["args"],
  BooleanTest: ["arg"],
  CaseExpr: ["arg"],
  CaseWhen: ["expr"],
  MinMaxExpr: ["args"],
  NullTest: ["arg"],
  SortBy: ["node"],
  SubLink: ["testexpr"],
  WindowDef: ["partitionClause", "orderClause", "startOffset", "endOffset"],
};

/** `a || b` shows both sides; every other operator may compare them. */
function isConcatenation(fields: Fields): boolean {
  return textOf(fields["kind"]) === "AEXPR_OP" && namesOf(fields["name"]).at(-1) === "||";
}

/** Shows the body of a function that is written in SQL; strict, so that of NULL it is NULL. */
const SOURCE_FUNCTION = "pg_get_function_sqlbody";

const SEQUENCE_FUNCTIONS: ReadonlySet<string> = new Set(["nextval", "setval"]);

/** Is this constant, which lists names, what search_path is pinned to? */
function repins(references: References, value: Node): boolean {
  const text = value.kind === "A_Const" ? bareOf(value.fields["sval"]) : null;
  const names = text && parseSearchPath(textOf(text["sval"]));
  return references.repins(names, (path) => references.constants(value.fields, [joinSearchPath(path)]));
}

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
