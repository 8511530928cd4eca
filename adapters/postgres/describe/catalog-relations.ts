/** The relations of pg_catalog and information_schema that drivers and tools read, and that hold no values or secrets. */

/**
 * Left out, because they hold sampled values (pg_statistic, pg_stats*, pg_statistic_ext_data), secrets (pg_authid,
 * pg_shadow, pg_user_mapping*, pg_subscription, pg_hba_file_rules, pg_file_settings, pg_ident_file_mappings,
 * pg_db_role_setting), contents (pg_largeobject), or what other sessions do (pg_stat_*, pg_locks, pg_cursors,
 * pg_prepared_*, pg_replication_*). pg_statio_all_tables is here although it counts: Sequelize finds tables by it.
 */
const PG_CATALOG = [
  "pg_aggregate",
  "pg_am",
  "pg_amop",
  "pg_amproc",
  "pg_attrdef",
  "pg_attribute",
  "pg_auth_members",
  "pg_available_extension_versions",
  "pg_available_extensions",
  "pg_cast",
  "pg_class",
  "pg_collation",
  "pg_constraint",
  "pg_conversion",
  "pg_database",
  "pg_default_acl",
  "pg_depend",
  "pg_description",
  "pg_enum",
  "pg_event_trigger",
  "pg_extension",
  "pg_foreign_data_wrapper",
  "pg_foreign_server",
  "pg_foreign_table",
  "pg_group",
  "pg_index",
  "pg_indexes",
  "pg_inherits",
  "pg_init_privs",
  "pg_language",
  "pg_largeobject_metadata",
  "pg_matviews",
  "pg_namespace",
  "pg_opclass",
  "pg_operator",
  "pg_opfamily",
  "pg_parameter_acl",
  "pg_partitioned_table",
  "pg_policies",
  "pg_policy",
  "pg_proc",
  "pg_publication",
  "pg_publication_namespace",
  "pg_publication_rel",
  "pg_publication_tables",
  "pg_range",
  "pg_rewrite",
  "pg_roles",
  "pg_rules",
  "pg_seclabel",
  "pg_seclabels",
  "pg_sequence",
  "pg_sequences",
  "pg_settings",
  "pg_shdepend",
  "pg_shdescription",
  "pg_shseclabel",
  "pg_statio_all_tables",
  "pg_statistic_ext",
  "pg_tables",
  "pg_tablespace",
  "pg_timezone_abbrevs",
  "pg_timezone_names",
  "pg_transform",
  "pg_trigger",
  "pg_ts_config",
  "pg_ts_config_map",
  "pg_ts_dict",
  "pg_ts_parser",
  "pg_ts_template",
  "pg_type",
  "pg_user",
  "pg_views",
];

/** Left out: user_mapping_options and what lies under it, which hold passwords; the tables of SQL features are harmless. */
const INFORMATION_SCHEMA = [
  "administrable_role_authorizations",
  "applicable_roles",
  "attributes",
  "character_sets",
  "check_constraint_routine_usage",
  "check_constraints",
  "collation_character_set_applicability",
  "collations",
  "column_column_usage",
  "column_domain_usage",
  "column_options",
  "column_privileges",
  "column_udt_usage",
  "columns",
  "constraint_column_usage",
  "constraint_table_usage",
  "data_type_privileges",
  "domain_constraints",
  "domain_udt_usage",
  "domains",
  "element_types",
  "enabled_roles",
  "foreign_data_wrappers",
  "foreign_servers",
  "foreign_table_options",
  "foreign_tables",
  "information_schema_catalog_name",
  "key_column_usage",
  "parameters",
  "referential_constraints",
  "role_column_grants",
  "role_routine_grants",
  "role_table_grants",
  "role_udt_grants",
  "role_usage_grants",
  "routine_column_usage",
  "routine_privileges",
  "routine_routine_usage",
  "routine_sequence_usage",
  "routine_table_usage",
  "routines",
  "schemata",
  "sequences",
  "sql_features",
  "sql_implementation_info",
  "sql_parts",
  "sql_sizing",
  "table_constraints",
  "table_privileges",
  "tables",
  "triggered_update_columns",
  "triggers",
  "udt_privileges",
  "usage_privileges",
  "user_defined_types",
  "view_column_usage",
  "view_routine_usage",
  "view_table_usage",
  "views",
];

/** The built-in set `$catalog`, as `schema.relation`. */
export const CATALOG_RELATIONS: readonly string[] = [
  ...PG_CATALOG.map((name) => `pg_catalog.${name}`),
  ...INFORMATION_SCHEMA.map((name) => `information_schema.${name}`),
];

const IS_CATALOG_RELATION: ReadonlySet<string> = new Set(CATALOG_RELATIONS);

/** The source text of functions may hold what somebody wrote into it. */
const GUARDED_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  "pg_catalog.pg_proc": ["prosrc", "prosqlbody"],
  "information_schema.routines": ["routine_definition"],
};

const ROW_COUNT_COLUMNS: readonly string[] = ["relid", "schemaname", "relname", "n_live_tup"];

/**
 * Of relations that tell what other sessions do, the columns that tell nothing of that: about how many rows a table has
 * (as pg_class does), by which Metabase lists tables; how a connection is encrypted, which pgAdmin asks first of all.
 */
const OPEN_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  "pg_catalog.pg_stat_all_tables": ROW_COUNT_COLUMNS,
  "pg_catalog.pg_stat_user_tables": ROW_COUNT_COLUMNS,
  "pg_catalog.pg_stat_gssapi": ["pid", "gss_authenticated", "encrypted"],
  "pg_catalog.pg_stat_ssl": ["pid", "ssl", "version", "cipher", "bits"],
};

/** True when reading these columns of this relation (`schema.name`), all that are read, is part of every session. */
export function isAmbientRelation(relation: string, columns: ReadonlySet<string>, areAllKnown = true): boolean {
  const open = OPEN_COLUMNS[relation];
  if (open !== undefined) return areAllKnown && [...columns].every((column) => open.includes(column));
  if (!IS_CATALOG_RELATION.has(relation)) return false;
  const guarded = GUARDED_COLUMNS[relation];
  return guarded === undefined || !guarded.some((column) => columns.has(column));
}
