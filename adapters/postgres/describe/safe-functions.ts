/** The functions of pg_catalog that anybody who may run statements may call: what a permit without `functions` covers. */
import { wordSet } from "./word-list.ts";

/**
 * An allowlist, by name: volatility is no safety label (`table_to_xml` is STABLE and reads tables).
 * A function is on it when its result depends on its arguments, on the session itself or on the catalogs that every
 * role can read, and when it changes nothing that outlives the statement. Not on it, and why:
 * - reads tables by name or runs text: query_to_xml and its like, cursor_to_xml, ts_stat, ts_rewrite, currtid2,
 *   pg_input_is_valid and pg_input_error_info (they run the input function of a type named in a text);
 * - reads files or large objects: pg_read_*, pg_ls_*, pg_stat_file, pg_current_logfile, lo_*, loread, lowrite;
 * - shows other sessions or statistics: pg_stat_* (but for pg_stat_get_numscans, which counts and by which DBeaver lists
 *   indexes), pg_lock_status, pg_blocking_pids, pg_cursor, pg_prepared_*;
 * - shows the source of functions: pg_get_functiondef, pg_get_function_sqlbody;
 * - changes settings or sequences: set_config; nextval and setval, which are an `update` of the sequence when its name
 *   is a constant;
 * - reaches other sessions or waits: pg_notify, pg_sleep*, pg_cancel_backend, pg_terminate_backend. Advisory locks are
 *   safe: they lock nothing but the numbers that applications agree on;
 * - administers: pg_logical_*, pg_replication_*, pg_wal_*, pg_backup_*, pg_reload_conf, brin_*, gin_*, binary_upgrade_*;
 * - what an operator or a type calls (texteq, int4in): nobody calls them by name.
 */
const GROUPS: readonly string[] = [
  // Numbers.
  `abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh bit_count cbrt ceil ceiling cos cosd cosh cot cotd
   degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi pow power radians random
   random_normal round scale setseed sign sin sind sinh sqrt tan tand tanh to_bin to_hex to_oct trim_scale trunc
   width_bucket crc32 crc32c`,
  // Casts written as calls, and constructors.
  `bit bool box bpchar char cidr circle date daterange datemultirange float4 float8 inet int2 int4 int8 int4range
   int4multirange int8range int8multirange interval line lseg macaddr macaddr8 make_date make_interval make_time
   make_timestamp make_timestamptz money multirange name nummultirange numeric numrange oid path point polygon regclass
   text time timestamp timestamptz timetz tsmultirange tsrange tstzmultirange tstzrange varbit varchar xid xml jsonb json`,
  // Texts and bytes.
  `ascii bit_length btrim casefold char_length character_length chr concat concat_ws convert convert_from convert_to
   decode encode format get_bit get_byte initcap is_normalized left length like like_escape notlike lower lpad ltrim md5
   normalize octet_length overlay parse_ident position quote_ident quote_literal quote_nullable regexp_count
   regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
   regexp_substr repeat replace reverse right rpad rtrim set_bit set_byte sha224 sha256 sha384 sha512 similar_escape
   similar_to_escape split_part starts_with string_to_array string_to_table strpos substr substring to_ascii translate
   unistr unicode_assigned upper textcat textlen`,
  // Dates and times.
  `age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days justify_hours
   justify_interval now overlaps statement_timestamp timeofday timezone to_char to_date to_number to_timestamp
   transaction_timestamp`,
  // Aggregates and window functions.
  `any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist dense_rank
   every first_value json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique
   json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict
   jsonb_object_agg_unique jsonb_object_agg_unique_strict lag last_value lead max min mode nth_value ntile percent_rank
   percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept
   regr_r2 regr_slope regr_sxx regr_sxy regr_syy row_number stddev stddev_pop stddev_samp string_agg sum var_pop var_samp
   variance xmlagg`,
  // Arrays, ranges, sets and rows.
  `array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
   array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_string
   array_upper cardinality trim_array unnest generate_series generate_subscripts isempty lower_inc lower_inf range_merge
   upper_inc upper_inf num_nonnulls num_nulls enum_first enum_last enum_range`,
  // JSON and XML, of values that are given.
  `array_to_json json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
   json_each json_each_text json_extract_path json_extract_path_text json_object json_object_keys json_populate_record
   json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_array_elements
   jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_contains jsonb_each
   jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert
   jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz
   jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz
   jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid jsonb_populate_recordset jsonb_pretty jsonb_set
   jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb
   xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists xmltext xpath
   xpath_exists`,
  // Text search, of values that are given.
  `array_to_tsvector get_current_ts_config json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery plainto_tsquery
   querytree setweight strip to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd
   ts_token_type ts_debug tsquery_phrase tsvector_to_array websearch_to_tsquery`,
  // Sampling methods of TABLESAMPLE, which are functions too.
  "bernoulli system",
  // Geometry and networks.
  `abbrev area bound_box broadcast center diagonal diameter family height host hostmask inet_merge inet_same_family
   isclosed ishorizontal isopen isparallel isperp isvertical macaddr8_set7bit masklen netmask network npoints pclose
   popen radius set_masklen slope width`,
  // Identifiers and randomness.
  "gen_random_uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7",
  // The session and the server, as every session may see them.
  `current_catalog current_database current_query current_role current_schema current_schemas current_setting
   current_user currval getdatabaseencoding getpgusername inet_client_addr inet_client_port inet_server_addr
   inet_server_port lastval pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all
   pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_backend_pid
   pg_client_encoding pg_conf_load_time pg_current_snapshot pg_current_xact_id pg_current_xact_id_if_assigned
   pg_is_in_recovery pg_jit_available pg_listening_channels pg_my_temp_schema pg_postmaster_start_time pg_snapshot_xip
   pg_snapshot_xmax pg_snapshot_xmin pg_trigger_depth pg_visible_in_snapshot pg_xact_status session_user system_user
   txid_current txid_current_if_assigned txid_current_snapshot txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin
   pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
   txid_status txid_visible_in_snapshot user unicode_version icu_unicode_version version`,
  // The catalog, as psql, pg_dump, drivers and ORMs read it.
  `acldefault aclexplode col_description format_type has_any_column_privilege has_column_privilege has_database_privilege
   has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_largeobject_privilege
   has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
   has_tablespace_privilege has_type_privilege makeaclitem mxid_age obj_description oidvectortypes
   pg_available_extension_versions pg_available_extensions pg_basetype pg_char_to_encoding pg_collation_actual_version
   pg_collation_for pg_collation_is_visible pg_column_compression pg_column_is_updatable pg_column_size
   pg_conversion_is_visible pg_database_collation_actual_version pg_database_size pg_describe_object pg_encoding_max_length
   pg_encoding_to_char pg_function_is_visible pg_get_acl pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr
   pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result
   pg_get_indexdef pg_get_keywords pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef
   pg_get_publication_tables pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
   pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef
   pg_has_role pg_identify_object pg_identify_object_as_address pg_index_column_has_property pg_index_has_property
   pg_indexam_has_property pg_indexes_size pg_is_other_temp_schema pg_opclass_is_visible pg_operator_is_visible
   pg_opfamily_is_visible pg_options_to_table pg_partition_ancestors pg_partition_root pg_partition_tree
   pg_relation_filenode pg_relation_is_publishable pg_relation_is_updatable pg_relation_size pg_sequence_last_value
   pg_sequence_parameters pg_stat_get_numscans pg_get_sequence_data pg_settings_get_flags pg_show_all_settings pg_size_bytes pg_size_pretty
   pg_statistics_obj_is_visible pg_table_is_visible pg_table_size pg_tablespace_databases pg_tablespace_location
   pg_timezone_abbrevs pg_timezone_names pg_total_relation_size pg_ts_config_is_visible pg_ts_dict_is_visible
   pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible pg_typeof row_security_active shobj_description
   to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype
   to_regtypemod`,
];

const SAFE_FUNCTIONS = wordSet(...GROUPS);

/** What information_schema's views are made of; JDBC drivers call some of them. */
const SAFE_INFORMATION_SCHEMA_FUNCTIONS = wordSet(
  `_pg_char_max_length _pg_char_octet_length _pg_datetime_precision _pg_expandarray _pg_index_position _pg_interval_type
   _pg_numeric_precision _pg_numeric_precision_radix _pg_numeric_scale _pg_truetypid _pg_truetypmod`,
);

export function isSafeFunction(schema: string, name: string): boolean {
  if (schema === "pg_catalog") return SAFE_FUNCTIONS.has(name);
  return schema === "information_schema" && SAFE_INFORMATION_SCHEMA_FUNCTIONS.has(name);
}

/**
 * Functions behind the operators and types of widely used extensions, whatever their schema: they only compute. Without
 * them `=` would need a permit by name wherever citext is on the search path. They are safe only where an operator or a
 * type stands for them; called by name they are like any other function.
 */
const SAFE_SUPPORT_FUNCTIONS = wordSet(
  // Values in binary form.
  `citextrecv citextsend cube_recv cube_send halfvec_recv halfvec_send hstore_recv hstore_send lquery_recv lquery_send
   ltree_recv ltree_send ltxtq_recv ltxtq_send sparsevec_recv sparsevec_send vector_recv vector_send`,
  // citext
  `citext citext_eq citext_ge citext_gt citext_le citext_lt citext_ne citext_pattern_ge citext_pattern_gt
   citext_pattern_le citext_pattern_lt citextin citextout texticlike texticnlike texticregexeq texticregexne`,
  // hstore
  `delete exist exists_all exists_any fetchval ghstore_in ghstore_out hs_concat hs_contained hs_contains hstore hstore_eq
   hstore_ge hstore_gt hstore_in hstore_le hstore_lt hstore_ne hstore_out hstore_to_array hstore_to_json hstore_to_jsonb
   hstore_to_matrix populate_record slice_array`,
  // ltree
  `_lt_q_regex _lt_q_rregex _ltq_extract_regex _ltq_regex _ltq_rregex _ltree_extract_isparent _ltree_extract_risparent
   _ltree_isparent _ltree_r_isparent _ltree_r_risparent _ltree_risparent _ltxtq_exec _ltxtq_extract_exec _ltxtq_rexec
   lquery_in lquery_out lt_q_regex lt_q_rregex ltq_regex ltq_rregex ltree_addltree ltree_addtext ltree_eq ltree_ge
   ltree_gist_in ltree_gist_out ltree_gt ltree_in ltree_isparent ltree_le ltree_lt ltree_ne ltree_out ltree_risparent
   ltree_textadd ltxtq_exec ltxtq_in ltxtq_out ltxtq_rexec`,
  // pg_trgm
  `gtrgm_in gtrgm_out similarity_dist similarity_op strict_word_similarity_commutator_op
   strict_word_similarity_dist_commutator_op strict_word_similarity_dist_op strict_word_similarity_op
   word_similarity_commutator_op word_similarity_dist_commutator_op word_similarity_dist_op word_similarity_op`,
  // btree_gist, intarray, cube, earthdistance, seg, isn
  `cash_dist date_dist float4_dist float8_dist int2_dist int4_dist int8_dist interval_dist oid_dist time_dist ts_dist
   tstz_dist _int_contained _int_contains _int_inter _int_overlap _int_union boolop bqarr_in bqarr_out icount idx
   intarray_del_elem intarray_push_array intarray_push_elem intset_subtract intset_union_elem rboolop cube_contained
   cube_contains cube_coord cube_coord_llur cube_distance cube_eq cube_ge cube_gt cube_in cube_le cube_lt cube_ne
   cube_out cube_overlap distance_chebyshev distance_taxicab geo_distance seg_contained seg_contains seg_different seg_ge
   seg_gt seg_in seg_le seg_left seg_lt seg_out seg_over_left seg_over_right seg_overlap seg_right seg_same ean13_in
   ean13_out isbn isbn13 isbn13_in isbn_in ismn ismn13 ismn13_in ismn_in isn_out isneq isnge isngt isnle isnlt isnne issn
   issn13 issn13_in issn_in upc upc_in`,
  // pgvector
  `array_to_halfvec array_to_sparsevec array_to_vector cosine_distance halfvec halfvec_add halfvec_concat halfvec_eq
   halfvec_ge halfvec_gt halfvec_in halfvec_le halfvec_lt halfvec_mul halfvec_ne halfvec_negative_inner_product
   halfvec_out halfvec_sub halfvec_to_float4 halfvec_to_sparsevec halfvec_to_vector halfvec_typmod_in hamming_distance
   jaccard_distance l1_distance l2_distance sparsevec sparsevec_eq sparsevec_ge sparsevec_gt sparsevec_in sparsevec_le
   sparsevec_lt sparsevec_ne sparsevec_negative_inner_product sparsevec_out sparsevec_to_halfvec sparsevec_to_vector
   sparsevec_typmod_in vector vector_add vector_concat vector_eq vector_ge vector_gt vector_in vector_le vector_lt
   vector_mul vector_ne vector_negative_inner_product vector_out vector_sub vector_to_float4 vector_to_halfvec
   vector_to_sparsevec vector_typmod_in`,
);

export function isSafeSupportFunction(name: string): boolean {
  return SAFE_SUPPORT_FUNCTIONS.has(name);
}
