/** Reads the statements that belong to every session: transactions, SET and SHOW, DISCARD, LISTEN, DEALLOCATE, CLOSE. */
import type { StatementEffect, TransactionEffect } from "../analysis.ts";
import type { Fields } from "../parser.ts";
import { classOf } from "../vocabulary.ts";
import type { Verb } from "../vocabulary.ts";
import type { Collector } from "./collector.ts";
import { NO_EFFECT } from "./effect.ts";
import { changesReading, isOrdinarySetting, isTrue, setsReadWrite } from "./setting.ts";
import { nodesOf, NotUnderstood, optionsOf, optionText, textOf } from "./tree.ts";

/** A setting back to its value at the start of the session, which the configuration and the client had agreed on. */
const SET_KINDS: ReadonlySet<string> = new Set(["VAR_SET_VALUE", "VAR_SET_DEFAULT", "VAR_SET_CURRENT", "VAR_RESET"]);

const TRANSACTIONS: ReadonlyMap<string, { readonly verb: Verb; readonly effect: TransactionEffect }> = new Map([
  ["TRANS_STMT_BEGIN", { verb: "begin", effect: "begin" }],
  ["TRANS_STMT_START", { verb: "begin", effect: "begin" }],
  ["TRANS_STMT_COMMIT", { verb: "commit", effect: "commit" }],
  ["TRANS_STMT_ROLLBACK", { verb: "rollback", effect: "rollback" }],
  ["TRANS_STMT_SAVEPOINT", { verb: "savepoint", effect: "savepoint" }],
  ["TRANS_STMT_RELEASE", { verb: "release", effect: "release" }],
  ["TRANS_STMT_ROLLBACK_TO", { verb: "rollback to", effect: "rollback to" }],
  ["TRANS_STMT_PREPARE", { verb: "prepare transaction", effect: "prepare transaction" }],
  ["TRANS_STMT_COMMIT_PREPARED", { verb: "commit prepared", effect: "commit prepared" }],
  ["TRANS_STMT_ROLLBACK_PREPARED", { verb: "rollback prepared", effect: "rollback prepared" }],
]);

/** Null when the statement is none of these. */
export function readSessionStatement(kind: string, fields: Fields, collector: Collector): StatementEffect | null {
  switch (kind) {
    case "TransactionStmt":
      return readTransaction(fields, collector);
    case "VariableSetStmt":
      return readSet(fields, collector);
    case "VariableShowStmt":
      ambient("show", collector);
      return NO_EFFECT;
    case "ConstraintsSetStmt":
      ambient("set constraints", collector);
      return NO_EFFECT;
    case "DiscardStmt":
      return readDiscard(fields, collector);
    case "DeallocateStmt": {
      ambient("deallocate", collector);
      const name = textOf(fields["name"]);
      return { ...NO_EFFECT, deallocates: name === "" ? "all" : { name } };
    }
    case "ClosePortalStmt": {
      ambient("close", collector);
      const name = textOf(fields["portalname"]);
      return { ...NO_EFFECT, closesCursor: name === "" ? "all" : { name } };
    }
    case "UnlistenStmt":
      ambient("unlisten", collector);
      return NO_EFFECT;
    case "ListenStmt":
      collector.other(classOf("listen"), "listen");
      return NO_EFFECT;
    case "NotifyStmt":
      collector.other(classOf("notify"), "notify");
      return NO_EFFECT;
    default:
      return null;
  }
}

function ambient(verb: Verb, collector: Collector): void {
  collector.other(classOf(verb), verb, {}, { ambient: true });
}

function readTransaction(fields: Fields, collector: Collector): StatementEffect {
  const found = TRANSACTIONS.get(textOf(fields["kind"]));
  if (!found) throw new NotUnderstood("a transaction statement is not known");
  const accessClass = classOf(found.verb);
  collector.other(accessClass, found.verb, {}, accessClass === "connect" ? { ambient: true } : {});
  return { ...NO_EFFECT, transaction: found.effect, undoesReadOnly: namesReadWrite(fields["options"]) };
}

function readSet(fields: Fields, collector: Collector): StatementEffect {
  const kind = textOf(fields["kind"]);
  const name = textOf(fields["name"]);
  if (kind === "VAR_RESET_ALL") {
    ambient("set", collector);
    return { ...NO_EFFECT, changesReading: true };
  }
  if (kind === "VAR_SET_MULTI") {
    // SET TRANSACTION and SET SESSION CHARACTERISTICS; importing a snapshot shows what another session saw.
    if (name === "TRANSACTION SNAPSHOT") {
      collector.other(classOf("set protected"), "set protected");
      return NO_EFFECT;
    }
    ambient("set", collector);
    return namesReadWrite(fields["args"]) ? { ...NO_EFFECT, undoesReadOnly: true } : NO_EFFECT;
  }
  if (!SET_KINDS.has(kind)) throw new NotUnderstood("a SET statement is not known");
  const values = nodesOf(fields["args"]).map(optionText);
  const isBack = kind !== "VAR_SET_VALUE";
  const lower = name.toLowerCase();
  const undoesReadOnly = isBack ? lower === "transaction_read_only" : setsReadWrite(lower, values[0] ?? "");
  const effect: StatementEffect = { ...NO_EFFECT, changesReading: changesReading(name), undoesReadOnly };
  if (lower === "role" || lower === "session_authorization") {
    // Back to the login's own role needs no right; every other role is a change of identity.
    if (isBack || (lower === "role" && values[0] === "none")) ambient("set", collector);
    else {
      const verb = lower === "role" ? "set role" : "set session authorization";
      collector.other(classOf(verb), verb);
    }
    return effect;
  }
  if (isBack || isOrdinarySetting(name, values[0] ?? "")) ambient("set", collector);
  else collector.other(classOf("set protected"), "set protected");
  return effect;
}

/** BEGIN, SET TRANSACTION and SET SESSION CHARACTERISTICS with READ WRITE among their modes. */
function namesReadWrite(modes: unknown): boolean {
  return optionsOf(modes).some(({ name, argument }) => {
    return name === "transaction_read_only" && !isTrue(argument === null ? "" : (optionText(argument) ?? ""));
  });
}

function readDiscard(fields: Fields, collector: Collector): StatementEffect {
  ambient("discard", collector);
  const target = textOf(fields["target"]);
  if (target === "DISCARD_PLANS" || target === "DISCARD_SEQUENCES") return NO_EFFECT;
  if (target === "DISCARD_TEMP") return { ...NO_EFFECT, changesReading: true };
  return { ...NO_EFFECT, changesReading: true, deallocates: "all", closesCursor: "all" };
}
