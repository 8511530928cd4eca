/** Which settings a session may change by itself, and which of them change how its next statements are read. */
import { wordSet } from "./word-list.ts";

/**
 * Settings that cannot change what a statement reads, writes or calls: formats, limits, planning, transactions.
 * search_path and client_encoding are here because the session's reading follows them. Left out, and so
 * `set protected`: backslash_quote and standard_conforming_strings off (the text would be read differently), role and
 * session_authorization, libraries, replication roles, logging, and settings of the application's own (row level
 * security policies look at those).
 */
const ORDINARY_SETTINGS = wordSet(
  `application_name array_nulls backend_flush_after bytea_output check_function_bodies client_connection_check_interval
   client_encoding client_min_messages commit_siblings constraint_exclusion cpu_index_tuple_cost cpu_operator_cost
   cpu_tuple_cost cursor_tuple_fraction datestyle deadlock_timeout debug_parallel_query default_statistics_target
   default_table_access_method default_tablespace default_text_search_config default_toast_compression
   default_transaction_deferrable default_transaction_isolation default_transaction_read_only effective_cache_size
   effective_io_concurrency enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge
   enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan
   enable_indexscan enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append
   enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate enable_partitionwise_join
   enable_presorted_aggregate enable_self_join_elimination enable_seqscan enable_sort enable_tidscan
   escape_string_warning exit_on_error extra_float_digits force_parallel_mode from_collapse_limit geqo geqo_effort
   geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold gin_fuzzy_search_limit
   gin_pending_list_limit hash_mem_multiplier icu_validation_level idle_in_transaction_session_timeout
   idle_session_timeout intervalstyle io_combine_limit jit jit_above_cost jit_expressions jit_inline_above_cost
   jit_optimize_above_cost jit_tuple_deforming join_collapse_limit lc_messages lc_monetary lc_numeric lc_time
   lock_timeout logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem max_parallel_maintenance_workers
   max_parallel_workers max_parallel_workers_per_gather max_stack_depth min_parallel_index_scan_size
   min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode
   quote_all_identifiers random_page_cost recursive_worktable_factor restrict_nonsystem_relation_kind row_security
   search_path seed seq_page_cost statement_timeout stats_fetch_consistency synchronize_seqscans synchronous_commit
   tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout temp_buffers temp_tablespaces
   timezone timezone_abbreviations trace_notify trace_sort transaction_deferrable transaction_isolation
   transaction_read_only transaction_timeout transform_null_equals vacuum_buffer_usage_limit vacuum_cost_delay
   vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss vacuum_freeze_min_age
   vacuum_freeze_table_age vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age wal_skip_threshold work_mem
   xmlbinary xmloption`,
);

/** Settings that decide how a text is read. */
const READING_SETTINGS: ReadonlySet<string> = new Set([
  "search_path",
  "client_encoding",
  "standard_conforming_strings",
  "backslash_quote",
  "role",
  "session_authorization",
]);

const READ_ONLY_SETTINGS: ReadonlySet<string> = new Set(["transaction_read_only", "default_transaction_read_only"]);

/** The spellings of the boolean true. */
const TRUE_WORDS: ReadonlySet<string> = new Set(["on", "true", "t", "tr", "tru", "yes", "y", "ye", "1"]);

/** May every session set this to this value? Names are compared in lower case. */
export function isOrdinarySetting(name: string, value: string): boolean {
  const lower = name.toLowerCase();
  if (lower === "standard_conforming_strings") return isTrue(value);
  return ORDINARY_SETTINGS.has(lower);
}

/** What set_config may change as SET does, whatever the value, and with nothing to be followed. */
export function isOrdinaryWhateverValue(name: string): boolean {
  const lower = name.toLowerCase();
  return ORDINARY_SETTINGS.has(lower) && !READING_SETTINGS.has(lower) && !READ_ONLY_SETTINGS.has(lower);
}

export function isTrue(value: string): boolean {
  return TRUE_WORDS.has(value.toLowerCase());
}

/** Does this value let a session or a transaction that only reads write? `name` is in lower case. */
export function setsReadWrite(name: string, value: string): boolean {
  return READ_ONLY_SETTINGS.has(name) && !isTrue(value);
}

export function changesReading(name: string): boolean {
  return READING_SETTINGS.has(name.toLowerCase());
}
