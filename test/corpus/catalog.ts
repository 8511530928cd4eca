/** The catalog of the masking corpus in memory, for tests that need no server. */
import type { Reading } from "../../adapters/postgres/analysis.ts";
import type { Catalog, FunctionName, Relation, RelationKind } from "../../adapters/postgres/catalog.ts";

const CUSTOMER = "id full_name email ssn card_number balance notes created_at";

const RELATIONS: readonly (readonly [string, RelationKind, string])[] = [
  ["app.customers", "table", CUSTOMER],
  ["app.customers_vip", "table", `${CUSTOMER} vip_level`],
  ["app.products", "table", "id name price tags attrs"],
  ["app.orders", "table", "id customer_id product_id amount status note placed_at"],
  ["app.contacts", "table", "id customer_id alt_email alt_local"],
  ["app.events", "partitioned table", "id customer_id email kind payload occurred_at"],
  ["app.events_2024", "table", "id customer_id email kind payload occurred_at"],
  ["app.categories", "table", "id parent_id name"],
  ["app.customer_audit", "table", "id changed_at old_row"],
  ["app.customer_directory", "view", "id full_name contact"],
  ["app.customer_public", "view", "id full_name created_at"],
  ["app.customer_mv", "materialized view", "id contact_email balance"],
  ["app.orders_id_seq", "sequence", "last_value log_cnt is_called"],
  ["app.customers_pkey", "index", "id"],
  ["public.customers", "table", "id nickname"],
  ["public.notes", "table", "id body"],
  ["public.odd~name", "table", "id a~b"],
  ["weir_masks.customers", "view", "id email"],
  ["ext.pg_stat_statements", "view", "query calls"],
  ["pg_catalog.pg_class", "table", "oid relname relnamespace relkind relowner"],
  ["pg_catalog.pg_namespace", "table", "oid nspname"],
  ["pg_catalog.pg_attribute", "table", "attrelid attname attnum attisdropped"],
  ["pg_catalog.pg_proc", "table", "oid proname pronamespace prosrc prosqlbody"],
  ["pg_catalog.pg_stats", "view", "schemaname tablename attname most_common_vals"],
  ["pg_catalog.pg_authid", "table", "oid rolname rolpassword"],
  ["pg_catalog.pg_stat_activity", "view", "pid query"],
  ["pg_catalog.pg_largeobject", "table", "loid pageno data"],
  ["information_schema.tables", "view", "table_schema table_name"],
  ["information_schema.routines", "view", "routine_name routine_definition"],
];

const APP_FUNCTIONS =
  "get_email find_customers label order_total add_tax announce same_mail id_to_card collect lower_case";

const BUILTIN_FUNCTIONS = `lower upper count sum now coalesce max min avg row_to_json to_json to_jsonb jsonb_agg array_agg
  string_agg generate_series unnest json_each_text jsonb_each_text string_to_table concat length format pg_sleep set_config
  nextval setval currval current_setting query_to_xml table_to_xml pg_read_file pg_notify lo_import ts_stat dblink
  pg_terminate_backend has_table_privilege pg_get_expr format_type version current_schemas pg_table_is_visible txid_current
  random text int4 date regclass substring extract btrim timezone like_escape similar_to_escape overlay position
  pg_advisory_lock row_number rank xmlexists jsonb_to_recordset json_populate_record bernoulli system regexp_replace
  pg_get_functiondef pg_get_function_sqlbody json_build_object percentile_cont xpath similar_escape normalize is_normalized date_part
  jsonb_array_elements exists`;

/** A catalog with the corpus's relations, functions, the operator, the cast and the domain, and a few of the server's. */
export function corpusCatalog(): Catalog {
  const relations = new Map<string, Relation>();
  for (const [index, [full, kind, columns]] of RELATIONS.entries()) {
    const [schema = "", dotless = ""] = full.split(".");
    // A tilde stands for a dot inside a name.
    const name = dotless.replaceAll("~", ".");
    const listed = columns.split(" ").map((column) => column.replaceAll("~", "."));
    relations.set(`${schema}.${name}`, { oid: 1000 + index, schema, name, kind, columns: listed });
  }
  const functions = new Map<string, string[]>();
  for (const name of BUILTIN_FUNCTIONS.split(/\s+/)) functions.set(name, ["pg_catalog"]);
  for (const name of APP_FUNCTIONS.split(" ")) functions.set(name, ["app"]);
  // An overload of a built-in name, and a name in two schemas.
  functions.set("substring", ["pg_catalog", "public"]);
  functions.set("shared", ["app", "public"]);
  functions.set("hidden", ["ext"]);
  functions.set("_pg_truetypid", ["information_schema", "app"]);
  functions.set("_pg_unheard", ["information_schema"]);
  const types = new Map<string, string[]>();
  for (const name of ["text", "int4", "regclass", "date", "json", "jsonb", "uuid", "xml"])
    types.set(name, ["pg_catalog"]);
  for (const name of ["order_status", "email_addr", "contact_card", "customers"]) types.set(name, ["app"]);
  types.set("badge", ["public", "app"]);
  const conversions = new Map<string, readonly FunctionName[]>([
    ["app.contact_card", [{ schema: "app", name: "id_to_card" }]],
    ["app.email_addr", [{ schema: "app", name: "same_mail" }]],
    ["app.badge", [{ schema: "app", name: "label" }]],
    ["public.badge", [{ schema: "public", name: "shared" }]],
  ]);
  const schemas = new Set(["app", "public", "ext", "scratch", "pg_catalog", "information_schema"]);
  return {
    digest: "c".repeat(64),
    serverVersion: 150_018,
    hasSchema: (schema) => schemas.has(schema),
    relation: (schema, name) => relations.get(`${schema}.${name}`),
    functionSchemas: (name) => functions.get(name) ?? [],
    functionByOid: () => undefined,
    userOperators: (symbol) => {
      if (symbol === "=~=") return [{ schema: "app", function: { schema: "app", name: "same_mail" } }];
      if (symbol === "=") return [{ schema: "public", function: { schema: "public", name: "citext_eq" } }];
      if (symbol === "<") return [{ schema: "ext", function: { schema: "ext", name: "odd_less" } }];
      return [];
    },
    typeSchemas: (name) => types.get(name) ?? [],
    typeFunctions: (schema, name) => conversions.get(`${schema}.${name}`) ?? [],
    typeFunctionsByOid: () => null,
  };
}

/** A session's reading over that catalog: path `app, public`, nothing temporary, nothing prepared. */
export function corpusReading(catalog: Catalog | null, changes: Partial<Reading> = {}): Reading {
  return {
    database: "shop",
    catalog,
    serverMajor: 15,
    searchPath: ["app", "public"],
    temporaryNames: new Set(),
    standardConformingStrings: true,
    clientEncodingIsUtf8: true,
    preparedStatement: () => undefined,
    cursor: () => undefined,
    ...changes,
  };
}
