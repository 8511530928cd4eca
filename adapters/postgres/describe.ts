/** What a parsed text does, under the reading of its session: pure, and never an exception. */
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access, Accesses } from "../../src/core/operation.ts";
import type { Analysis, Reading, StatementEffect, TransactionEffect } from "./analysis.ts";
import { ANY_EFFECT } from "./describe/effect.ts";
import { StatementReader } from "./describe/statement.ts";
import type { InnerAnalysis, PreparedStatements } from "./describe/statement.ts";
import { NotUnderstood } from "./describe/tree.ts";
import type { Node } from "./describe/tree.ts";
import type { ParsedStatement } from "./parser.ts";

/** More statements in one text are refused: each is walked, and each is judged. */
const STATEMENTS_MAX = 1_000;

/** The words of an analysis that do not depend on what was read. */
export type TextIdentity = { readonly text: string; readonly textSha256: string };

export type Description = { readonly analysis: Analysis; readonly isSessionBound: boolean };

/** The statements behind what PREPARE and DECLARE keep: the server may read them again, and then so must the gateway. */
const innerStatements = new WeakMap<Analysis, Node>();

/** The statement that an analysis was made of, when it was made inside a PREPARE or DECLARE. */
export function innerStatementOf(analysis: Analysis): Node | undefined {
  return innerStatements.get(analysis);
}

/** `prepared` finds what the session has prepared, as a statement to be read again. */
export function describe(
  statements: readonly ParsedStatement[],
  identity: TextIdentity,
  reading: Reading,
  prepared: PreparedStatements,
): Description {
  if (statements.length > STATEMENTS_MAX) {
    return {
      analysis: opaqueAnalysis(identity, reading, `it holds more than ${STATEMENTS_MAX} statements`),
      isSessionBound: false,
    };
  }
  const accesses: Access[] = [];
  const effects: StatementEffect[] = [];
  let notUnderstood: string | null = null;
  let isSessionBound = false;
  let current = reading;
  let preparedNow = prepared;
  for (const { kind, node } of statements) {
    const statement: Node = { kind, fields: node };
    const outcome = readStatement(statement, identity, current, preparedNow);
    accesses.push(...outcome.accesses);
    effects.push(outcome.effect);
    notUnderstood ??= outcome.unresolved;
    isSessionBound ||= outcome.isSessionBound;
    if (statements.length > 1) {
      current = readingAfter(current, outcome.effect);
      preparedNow = preparedAfter(preparedNow, outcome.effect);
    }
  }
  const analysis: Analysis = {
    ...identity,
    accesses: atLeastOne(statements.length > 1 ? distinct(accesses) : accesses, reading),
    understood: notUnderstood === null,
    notUnderstood,
    catalogDigest: reading.catalog?.digest ?? null,
    syntaxError: null,
    statements: effects,
  };
  return { analysis, isSessionBound };
}

type Outcome = {
  readonly accesses: readonly Access[];
  readonly effect: StatementEffect;
  readonly unresolved: string | null;
  readonly isSessionBound: boolean;
};

function readStatement(
  statement: Node,
  identity: TextIdentity,
  reading: Reading,
  prepared: PreparedStatements,
): Outcome {
  const innerAnalysis: InnerAnalysis = (accesses, understood, inner, effect) => {
    const analysis: Analysis = {
      ...identity,
      accesses: atLeastOne(accesses, reading),
      understood,
      notUnderstood: understood ? null : "what was prepared could not be read",
      catalogDigest: reading.catalog?.digest ?? null,
      syntaxError: null,
      statements: [effect],
    };
    innerStatements.set(analysis, inner);
    return analysis;
  };
  const reader = new StatementReader(reading, prepared, innerAnalysis);
  try {
    return { ...reader.read(statement), isSessionBound: reader.isSessionBound };
  } catch (error) {
    // Whatever went wrong, the statement was not read: it is opaque.
    const because = error instanceof NotUnderstood ? error.message : "it could not be read";
    const { isSessionBound } = reader;
    return { accesses: [opaqueAccess(reading)], effect: ANY_EFFECT, unresolved: because, isSessionBound };
  }
}

/** The reading under which the next statement of the same text is read. */
function readingAfter(reading: Reading, effect: StatementEffect): Reading {
  let { searchPath, catalog, temporaryNames, redefinedNames } = reading;
  if (effect.changesReading || (reading.mayBeTakenBack && takesBack(effect.transaction))) searchPath = null;
  if (effect.createsTemporary === "unknown") temporaryNames = "unknown";
  else if (effect.createsTemporary && temporaryNames !== "unknown") {
    temporaryNames = new Set([...temporaryNames, ...effect.createsTemporary]);
  }
  if (effect.redefines === "all") catalog = null;
  else if (effect.redefines) redefinedNames = new Set([...(redefinedNames ?? []), ...effect.redefines]);
  const cursor = cursorAfter(reading, effect);
  return { ...reading, searchPath, catalog, temporaryNames, cursor, ...(redefinedNames ? { redefinedNames } : {}) };
}

/** The end of a transaction, or of a part of it: settings may go back to what they were. */
function takesBack(transaction: TransactionEffect | null): boolean {
  return transaction !== null && transaction !== "begin" && transaction !== "savepoint" && transaction !== "release";
}

/** What the text itself has opened before. */
function cursorAfter(reading: Reading, effect: StatementEffect): Reading["cursor"] {
  const { declaresCursor, closesCursor } = effect;
  const before = (name: string): Analysis | undefined => reading.cursor(name);
  if (declaresCursor) return (name) => (name === declaresCursor.name ? declaresCursor.analysis : before(name));
  if (closesCursor === "all") return () => undefined;
  if (closesCursor) return (name) => (name === closesCursor.name ? undefined : before(name));
  return before;
}

/** What the text itself has prepared before. */
function preparedAfter(prepared: PreparedStatements, effect: StatementEffect): PreparedStatements {
  const { prepares, deallocates } = effect;
  if (prepares) {
    const statement = innerStatementOf(prepares.analysis);
    return (name) => (name === prepares.name ? statement : prepared(name));
  }
  if (deallocates === "all") return () => undefined;
  if (deallocates) return (name) => (name === deallocates.name ? undefined : prepared(name));
  return prepared;
}

/** Able to do anything. */
function opaqueAccess(reading: Reading): Access {
  return {
    class: "administer",
    facts: {
      databases: [reading.database],
      verbs: UNKNOWN,
      relations: UNKNOWN,
      columns: UNKNOWN,
      functions: UNKNOWN,
      unfiltered: UNKNOWN,
    },
    opaque: true,
  };
}

/** A text that could not be read at all. */
export function opaqueAnalysis(
  identity: TextIdentity,
  reading: Reading,
  because: string,
  syntaxError: Analysis["syntaxError"] = null,
): Analysis {
  return {
    ...identity,
    accesses: [opaqueAccess(reading)],
    understood: false,
    notUnderstood: because,
    catalogDigest: reading.catalog?.digest ?? null,
    syntaxError,
    statements: [ANY_EFFECT],
  };
}

/** Many statements of one text often do the same: policy need not judge it again. */
function distinct(accesses: readonly Access[]): Access[] {
  const seen = new Map<string, Access>();
  for (const access of accesses) {
    const key = JSON.stringify(access, (_, value: unknown) => (value === UNKNOWN ? null : value));
    if (!seen.has(key)) seen.set(key, access);
  }
  return [...seen.values()];
}

function emptyAccess(reading: Reading): Access {
  return { class: "connect", facts: { databases: [reading.database], verbs: ["empty"] }, ambient: true };
}

function atLeastOne(accesses: readonly Access[], reading: Reading): Accesses {
  const [first, ...rest] = accesses;
  return first ? [first, ...rest] : [emptyAccess(reading)];
}
