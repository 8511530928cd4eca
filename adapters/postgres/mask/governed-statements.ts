/** Which kinds of statements a governed session may run at all, and with which settings, channels and options. */
import type { Fields } from "../parser.ts";
import type { References } from "../describe/references.ts";
import { isTrue } from "../describe/setting.ts";
import { bareOf, nodesOf, optionsOf, optionText, textOf } from "../describe/tree.ts";
import type { Node } from "../describe/tree.ts";
import { wordSet } from "../describe/word-list.ts";

/** All others define, administer, lock or run what cannot be read. */
const KINDS = wordSet(
  `SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt ExplainStmt CopyStmt PrepareStmt ExecuteStmt DeallocateStmt
   DeclareCursorStmt FetchStmt ClosePortalStmt TransactionStmt ConstraintsSetStmt VariableSetStmt VariableShowStmt
   DiscardStmt ListenStmt UnlistenStmt NotifyStmt CallStmt`,
);

/** Settings that change formats, limits and plans, in lower case: no value and no name depends on them. */
const SETTINGS = wordSet(
  `application_name bytea_output check_function_bodies client_min_messages constraint_exclusion cpu_index_tuple_cost
   cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction datestyle default_transaction_deferrable
   default_transaction_isolation default_transaction_read_only effective_cache_size effective_io_concurrency
   enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge enable_group_by_reordering
   enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
   enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
   enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination
   enable_seqscan enable_sort enable_tidscan extra_float_digits from_collapse_limit geqo geqo_effort geqo_generations
   geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold hash_mem_multiplier idle_in_transaction_session_timeout
   idle_session_timeout intervalstyle jit jit_above_cost jit_inline_above_cost jit_optimize_above_cost
   join_collapse_limit lock_timeout max_parallel_workers max_parallel_workers_per_gather min_parallel_index_scan_size
   min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode
   quote_all_identifiers random_page_cost row_security seq_page_cost statement_timeout synchronize_seqscans
   synchronous_commit tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout temp_buffers
   timezone transaction_deferrable transaction_isolation transaction_read_only transaction_timeout work_mem xmloption`,
);

/** May a governed session change it, by whatever way? `name` is in lower case. */
export function isGovernedSetting(name: string): boolean {
  return SETTINGS.has(name);
}

/** Spellings of the pinned client_encoding. */
const UTF8 = wordSet("utf8 utf-8 unicode");

/** Options of EXPLAIN that show a plan and what it took. */
const EXPLAIN_OPTIONS = wordSet(
  "analyze buffers costs format generic_plan memory serialize settings summary timing wal",
);

/** Looks at what is refused whatever the statement is about. */
export function refuseKind(references: References, { kind, fields }: Node): void {
  if (!KINDS.has(kind)) {
    references.refuse(
      `${wordsOf(kind)} does not run while columns are masked`,
      "Only reading, changing rows, COPY, transactions, cursors and prepared statements are possible here.",
    );
    return;
  }
  if (kind === "SelectStmt") refuseInto(references, fields);
  else if (kind === "ExplainStmt") references.explainOption ??= otherOption(fields);
  else if (kind === "CopyStmt") refuseFiles(references, fields);
  else if (kind === "VariableSetStmt") refuseSetting(references, fields);
  else if (kind === "VariableShowStmt") references.readsSetting(textOf(fields["name"]));
  else if (kind === "ListenStmt" || kind === "NotifyStmt") refuseChannel(references, textOf(fields["conditionname"]));
}

/** What the tree calls otherwise than SQL does. */
const WORDS: Readonly<Record<string, string>> = {
  CreateStmt: "CREATE TABLE",
  IndexStmt: "CREATE INDEX",
  RuleStmt: "CREATE RULE",
  VacuumStmt: "VACUUM or ANALYZE",
  ViewStmt: "CREATE VIEW",
};

/** `CreateFunctionStmt` as `CREATE FUNCTION`. */
function wordsOf(kind: string): string {
  const known = WORDS[kind];
  if (known !== undefined) return known;
  const name = kind.endsWith("Stmt") ? kind.slice(0, -"Stmt".length) : kind;
  let words = "";
  for (const character of name) {
    const upper = character.toUpperCase();
    words += character === upper && words !== "" ? ` ${upper}` : upper;
  }
  return words;
}

function refuseInto(references: References, fields: Fields): void {
  for (let query: Fields | null = fields; query; query = bareOf(query["larg"])) {
    if (query["intoClause"] === undefined) continue;
    references.refuse(
      "SELECT INTO does not run while columns are masked: it would keep a copy",
      "Leave INTO out and use the rows as they come.",
    );
  }
}

function otherOption(fields: Fields): string | null {
  const other = optionsOf(fields["options"]).find(
    ({ name, argument }) => !EXPLAIN_OPTIONS.has(name) && (argument === null || isTrue(optionText(argument) ?? "on")),
  );
  return other?.name.toUpperCase() ?? null;
}

function refuseFiles(references: References, fields: Fields): void {
  if (fields["is_program"] !== true && textOf(fields["filename"]) === "") return;
  references.refuse(
    "COPY with a file or a program of the server does not run while columns are masked",
    "Use COPY ... TO STDOUT or COPY ... FROM STDIN.",
  );
}

function refuseSetting(references: References, fields: Fields): void {
  const kind = textOf(fields["kind"]);
  const name = textOf(fields["name"]);
  if (kind === "VAR_RESET_ALL" || (kind === "VAR_SET_MULTI" && name !== "TRANSACTION SNAPSHOT")) return;
  const setting = name.toLowerCase();
  if (isGovernedSetting(setting)) return;
  // What is pinned goes back to the pin.
  const isBack = kind !== "VAR_SET_VALUE";
  const [first] = nodesOf(fields["args"]);
  const value = (first ? optionText(first) : null) ?? "";
  if (setting === "client_encoding" && (isBack || UTF8.has(value.toLowerCase()))) return;
  if (setting === "standard_conforming_strings" && (isBack || isTrue(value))) return;
  if (setting === "search_path" && !isBack && repins(references, nodesOf(fields["args"]))) return;
  references.refuse(
    `the setting "${name}" is not changed while columns are masked`,
    setting === "search_path"
      ? "The target's masking.searchPath fixes it, and it can only be set to that; name relations with their schema."
      : "Leave it as it is; formats, time limits and planner settings can be changed.",
  );
}

/** SET search_path to a list of names. */
function repins(references: References, names: readonly Node[]): boolean {
  return references.repins(names.map(stringOf), (path) => {
    const last = names.length - 1;
    for (const [index, { fields }] of names.entries())
      references.constants(fields, index < last ? path.slice(index, index + 1) : path.slice(last));
  });
}

/** The text of a string constant, as words are too where SET takes them; null: it is something else. */
function stringOf({ kind, fields }: Node): string | null {
  const text = kind === "A_Const" ? bareOf(fields["sval"]) : null;
  return text && textOf(text["sval"]);
}

function refuseChannel(references: References, channel: string): void {
  if (references.plan.listenChannels.has(channel)) return;
  references.refuse(
    `the channel "${channel}" is not open while columns are masked`,
    "Use one that masking.listenChannels of the target lists.",
  );
}
