/** The expression nodes of the raw parse tree of PostgreSQL 15 to 18, with all their fields: what is not here is refused. */
import { wordSet } from "./word-list.ts";

/**
 * What is done with a field:
 * `-` says nothing about what is read or called; `e` holds expressions (one or a list); `q` a query; `t` a bare type
 * name; `o` an operator's name; `=Kind` a bare node of that kind.
 */
type FieldRole = "-" | "e" | "q" | "t" | "o" | `=${string}`;

type NodeFields = Readonly<Record<string, FieldRole>>;

/** The aggregates' own field is called `constructor`, which every object has: the type must be told that it is ours. */
const JSON_AGGREGATE: NodeFields = Object.fromEntries<FieldRole>([["constructor", "=JsonAggConstructor"]]);

const LOCATION = { location: "-" } as const;

/** Kinds that need no more than a walk into their fields. ColumnRef, FuncCall and the like are read by hand. */
export const NODE_FIELDS: Readonly<Record<string, NodeFields>> = {
  A_Const: { ival: "-", fval: "-", boolval: "-", sval: "-", bsval: "-", isnull: "-", ...LOCATION },
  // A name as it stands in a list.
  String: { sval: "-" },
  ParamRef: { number: "-", ...LOCATION },
  BoolExpr: { boolop: "-", args: "e", ...LOCATION },
  A_Indices: { is_slice: "-", lidx: "e", uidx: "e" },
  A_ArrayExpr: { elements: "e", list_start: "-", list_end: "-", ...LOCATION },
  TypeCast: { arg: "e", typeName: "t", ...LOCATION },
  CaseExpr: { arg: "e", args: "e", defresult: "e", ...LOCATION },
  CaseWhen: { expr: "e", result: "e", ...LOCATION },
  CoalesceExpr: { args: "e", ...LOCATION },
  MinMaxExpr: { op: "-", args: "e", ...LOCATION },
  NullTest: { arg: "e", nulltesttype: "-", argisrow: "-", ...LOCATION },
  BooleanTest: { arg: "e", booltesttype: "-", ...LOCATION },
  RowExpr: { args: "e", row_format: "-", colnames: "-", ...LOCATION },
  List: { items: "e" },
  SQLValueFunction: { op: "-", type: "-", typmod: "-", ...LOCATION },
  SetToDefault: { typeId: "-", typeMod: "-", collation: "-", ...LOCATION },
  GroupingFunc: { args: "e", ...LOCATION },
  GroupingSet: { kind: "-", content: "e", ...LOCATION },
  NamedArgExpr: { arg: "e", name: "-", argnumber: "-", ...LOCATION },
  CurrentOfExpr: { cvarno: "-", cursor_name: "-", cursor_param: "-" },
  MultiAssignRef: { source: "e", colno: "-", ncolumns: "-" },
  SortBy: { node: "e", sortby_dir: "-", sortby_nulls: "-", useOp: "o", ...LOCATION },
  WindowDef: {
    name: "-",
    refname: "-",
    partitionClause: "e",
    orderClause: "e",
    frameOptions: "-",
    startOffset: "e",
    endOffset: "e",
    ...LOCATION,
  },
  SubLink: { subLinkType: "-", testexpr: "e", operName: "o", subselect: "q", subLinkId: "-", ...LOCATION },
  XmlExpr: {
    op: "-",
    name: "-",
    named_args: "e",
    arg_names: "-",
    args: "e",
    xmloption: "-",
    indent: "-",
    type: "-",
    typmod: "-",
    ...LOCATION,
  },
  XmlSerialize: { xmloption: "-", expr: "e", typeName: "t", indent: "-", ...LOCATION },
  JsonObjectConstructor: { exprs: "e", output: "=JsonOutput", absent_on_null: "-", unique: "-", ...LOCATION },
  JsonArrayConstructor: { exprs: "e", output: "=JsonOutput", absent_on_null: "-", ...LOCATION },
  JsonArrayQueryConstructor: {
    query: "q",
    output: "=JsonOutput",
    format: "=JsonFormat",
    absent_on_null: "-",
    ...LOCATION,
  },
  JsonObjectAgg: { ...JSON_AGGREGATE, arg: "=JsonKeyValue", absent_on_null: "-", unique: "-" },
  JsonArrayAgg: { ...JSON_AGGREGATE, arg: "=JsonValueExpr", absent_on_null: "-" },
  JsonAggConstructor: { output: "=JsonOutput", agg_filter: "e", agg_order: "e", over: "=WindowDef", ...LOCATION },
  JsonKeyValue: { key: "e", value: "=JsonValueExpr" },
  JsonValueExpr: { raw_expr: "e", formatted_expr: "e", format: "=JsonFormat" },
  JsonOutput: { typeName: "t", returning: "=JsonReturning" },
  JsonReturning: { format: "=JsonFormat", typid: "-", typmod: "-" },
  JsonFormat: { format_type: "-", encoding: "-", ...LOCATION },
  JsonIsPredicate: { expr: "e", format: "=JsonFormat", item_type: "-", unique_keys: "-", ...LOCATION },
  JsonParseExpr: { expr: "=JsonValueExpr", output: "=JsonOutput", unique_keys: "-", ...LOCATION },
  JsonScalarExpr: { expr: "e", output: "=JsonOutput", ...LOCATION },
  JsonSerializeExpr: { expr: "=JsonValueExpr", output: "=JsonOutput", ...LOCATION },
  JsonFuncExpr: {
    op: "-",
    column_name: "-",
    context_item: "=JsonValueExpr",
    pathspec: "e",
    passing: "e",
    output: "=JsonOutput",
    on_empty: "=JsonBehavior",
    on_error: "=JsonBehavior",
    wrapper: "-",
    quotes: "-",
    ...LOCATION,
  },
  JsonBehavior: { btype: "-", expr: "e", coerce: "-", ...LOCATION },
  JsonArgument: { val: "=JsonValueExpr", name: "-" },
  JsonTablePathSpec: { string: "e", name: "-", name_location: "-", ...LOCATION },
  JsonTableColumn: {
    coltype: "-",
    name: "-",
    typeName: "t",
    pathspec: "=JsonTablePathSpec",
    format: "=JsonFormat",
    wrapper: "-",
    quotes: "-",
    columns: "e",
    on_empty: "=JsonBehavior",
    on_error: "=JsonBehavior",
    ...LOCATION,
  },
  RangeTableFuncCol: {
    colname: "-",
    typeName: "t",
    for_ordinality: "-",
    is_not_null: "-",
    colexpr: "e",
    coldefexpr: "e",
    ...LOCATION,
  },
  MergeSupportFunc: { msftype: "-", msfcollid: "-", ...LOCATION },
  InferenceElem: {},
};

/** The fields of nodes that are read by hand: any other field makes a statement not understood. */
export const KNOWN_FIELDS: Readonly<Record<string, ReadonlySet<string>>> = {
  ColumnRef: wordSet("fields location"),
  A_Expr: wordSet("kind name lexpr rexpr rexpr_list_start rexpr_list_end location"),
  FuncCall: wordSet(
    "funcname args agg_order agg_filter over agg_within_group agg_star agg_distinct func_variadic funcformat location",
  ),
  A_Indirection: wordSet("arg indirection"),
  CollateClause: wordSet("arg collname location"),
  TypeName: wordSet("names typeOid setof pct_type typmods typemod arrayBounds location"),
  ResTarget: wordSet("name indirection val location"),
  SelectStmt: wordSet(
    "distinctClause intoClause targetList fromClause whereClause groupClause groupDistinct havingClause windowClause " +
      "valuesLists sortClause limitOffset limitCount limitOption lockingClause withClause op all larg rarg",
  ),
  RangeVar: wordSet("catalogname schemaname relname inh relpersistence alias location"),
  Alias: wordSet("aliasname colnames"),
  RangeSubselect: wordSet("lateral subquery alias"),
  RangeFunction: wordSet("lateral ordinality is_rowsfrom functions alias coldeflist"),
  RangeTableSample: wordSet("relation method args repeatable location"),
  RangeTableFunc: wordSet("lateral docexpr rowexpr namespaces columns alias location"),
  JsonTable: wordSet("context_item pathspec passing columns on_error alias lateral location"),
  JoinExpr: wordSet("jointype isNatural larg rarg usingClause join_using_alias quals alias rtindex"),
  WithClause: wordSet("ctes recursive location"),
  CommonTableExpr: wordSet("ctename aliascolnames ctematerialized ctequery search_clause cycle_clause location"),
  CTESearchClause: wordSet("search_col_list search_breadth_first search_seq_column location"),
  CTECycleClause: wordSet(
    "cycle_col_list cycle_mark_column cycle_mark_value cycle_mark_default cycle_path_column location",
  ),
  LockingClause: wordSet("lockedRels strength waitPolicy"),
  InsertStmt: wordSet("relation cols selectStmt onConflictClause returningList returningClause withClause override"),
  UpdateStmt: wordSet("relation targetList whereClause fromClause returningList returningClause withClause"),
  DeleteStmt: wordSet("relation usingClause whereClause returningList returningClause withClause"),
  MergeStmt: wordSet("relation sourceRelation joinCondition mergeWhenClauses returningList returningClause withClause"),
  MergeWhenClause: wordSet("matched matchKind commandType override condition targetList values"),
  OnConflictClause: wordSet("action infer targetList whereClause location"),
  InferClause: wordSet("indexElems whereClause conname location"),
  IndexElem: wordSet("name expr indexcolname collation opclass opclassopts ordering nulls_ordering"),
  ReturningClause: wordSet("options exprs"),
  ReturningOption: wordSet("option value location"),
};
