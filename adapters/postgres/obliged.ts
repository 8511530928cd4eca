/** What an operation can be held to: which ones cannot be counted before they are committed, or kept from writing. */
import { UNKNOWN, type Access, type FactValue, type Unknown } from "../../src/core/operation.ts";
import type { Analysis, StatementEffect, TransactionEffect } from "./analysis.ts";
import { ANY_EFFECT } from "./describe/effect.ts";
import type { Run } from "./run.ts";

/** They end the transaction that a count would have to undo. */
const ENDS: ReadonlySet<TransactionEffect> = new Set([
  "commit",
  "rollback",
  "prepare transaction",
  "commit prepared",
  "rollback prepared",
]);

/** Reads, and what belongs to every session: nothing of it is there to be undone. */
function onlyReads(analysis: Analysis): boolean {
  return analysis.accesses.every((access) => (access.class === "read" || access.class === "connect") && !access.opaque);
}

/** Nothing but the session's own: transactions, settings, cursors that are closed. It reads and writes no data. */
export function isSessionWork(analysis: Analysis): boolean {
  return analysis.accesses.every((access) => access.class === "connect");
}

/** Some statement could not be read at all. */
export function isUnread(analysis: Analysis): boolean {
  return (!analysis.understood && analysis.statements.length === 0) || analysis.statements.includes(ANY_EFFECT);
}

function some(analysis: Analysis, test: (effect: StatementEffect) => boolean): boolean {
  return analysis.statements.some(test);
}

/** The transaction that it stands in is over, or another one begun. */
export function endsTransaction(effect: StatementEffect): boolean {
  return effect.transaction !== null && ENDS.has(effect.transaction);
}

/**
 * Why an operation cannot be held to its limits; null when it can. `isInSegment`: messages of the extended protocol
 * came before it that no Sync has ended.
 */
export function whyNotLimited(run: Run, analysis: Analysis, isInSegment: boolean): string | null {
  if (run.form === "pipelined") {
    // One statement, which the Sync commits; but for a procedure, which may do so itself.
    const mayCommit = run.isCounted && some(analysis, (effect) => effect.callsProcedure);
    return mayCommit ? "a procedure may commit before what it returns is counted; call it in a simple query" : null;
  }
  if (!run.isCounted || onlyReads(analysis)) return null;
  if (isUnread(analysis)) return "the rows of what cannot be read cannot be counted before it is committed";
  // Whether a transaction is open is known at a Sync only, and so is who commits this one.
  if (isInSegment) return "a simple query that changes something comes behind a Sync only";
  if (analysis.statements.length > 1 && some(analysis, endsTransaction)) {
    return "a text that both changes rows and ends a transaction commits before they are counted; send them one by one";
  }
  return null;
}

/** Whether a request can stand in a transaction of the gateway's own. */
export function mayBeBracketed(run: Run, analysis: Analysis): boolean {
  return run.form === "request" && !some(analysis, (effect) => effect.transaction !== null);
}

/** Whether it must, so that it is committed when it was counted. */
export function needsBracket(run: Run, analysis: Analysis): boolean {
  return run.isCounted && !onlyReads(analysis) && mayBeBracketed(run, analysis);
}

/** What PostgreSQL lets a read-only transaction do, though something is different afterwards. */
const WRITING_VERBS: ReadonlySet<string> = new Set([
  "alter system",
  "analyze",
  "checkpoint",
  "cluster",
  "commit prepared",
  "copy file",
  "copy program",
  "load",
  "prepare transaction",
  "reindex",
  "rollback prepared",
  "vacuum",
]);

/**
 * Functions of the server that change something although the transaction is read only, by how their names in
 * pg_catalog begin: large objects (before version 16), replication, statistics, collations, the server itself.
 */
const WRITING_FUNCTIONS = [
  "binary_upgrade_",
  "brin_",
  "gin_clean_",
  "lo_",
  "lowrite",
  "pg_backup_",
  "pg_clear_",
  "pg_copy_",
  "pg_create_",
  "pg_drop_",
  "pg_import_",
  "pg_log_",
  "pg_logical_",
  "pg_promote",
  "pg_reload_conf",
  "pg_replication_",
  "pg_restore_",
  "pg_rotate_",
  "pg_set_",
  "pg_stat_reset",
  "pg_switch_wal",
] as const;
const SERVERS_OWN = "pg_catalog.";

/** Why an operation that may only read cannot be kept from writing; null when it can. */
export function whyNotReadOnly(analysis: Analysis): string | null {
  if (isUnread(analysis)) return "what cannot be read cannot be kept from writing";
  if (some(analysis, (effect) => effect.undoesReadOnly)) return "it would let the session write";
  if (some(analysis, (effect) => effect.callsProcedure)) {
    return "a procedure may end the read-only transaction and begin one that writes";
  }
  if (analysis.statements.length > 1 && !isSessionWork(analysis) && some(analysis, endsTransaction)) {
    return "a text that goes on behind the end of its transaction may begin one that writes; send them one by one";
  }
  for (const access of analysis.accesses) {
    if (access.class === "execute" && access.facts["functions"] === UNKNOWN) {
      return "which function it calls is not known";
    }
    const writing = writingName(access);
    if (writing !== null) return `${writing} writes`;
  }
  return null;
}

function writingName({ facts }: Access): string | null {
  return (
    namesIn(facts["verbs"]).find((verb) => WRITING_VERBS.has(verb)) ??
    namesIn(facts["functions"]).find((name) => writesAnyway(name)) ??
    null
  );
}

function namesIn(value: FactValue | Unknown | undefined): readonly string[] {
  return typeof value === "object" ? value : [];
}

function writesAnyway(name: string): boolean {
  // It reaches a server on a connection of its own, in which nothing is read only; its schema is anybody's choice.
  if (name.slice(name.indexOf(".") + 1).startsWith("dblink")) return true;
  if (!name.startsWith(SERVERS_OWN)) return false;
  const own = name.slice(SERVERS_OWN.length);
  return own !== "lo_get" && WRITING_FUNCTIONS.some((beginning) => own.startsWith(beginning));
}
