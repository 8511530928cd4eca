/** What a parsed text does, under the reading of its session: pure, and never an exception. */
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access, Accesses } from "../../src/core/operation.ts";
import type { Analysis, Reading, StatementEffect, TransactionEffect } from "./analysis.ts";
import { ANY_EFFECT } from "./describe/effect.ts";
import type { MaskRefusal } from "./describe/references.ts";
import { StatementReader } from "./describe/statement.ts";
import type { InnerAnalysis, PreparedStatements } from "./describe/statement.ts";
import { NotUnderstood } from "./describe/tree.ts";
import type { Node } from "./describe/tree.ts";
import { notRead } from "./mask/govern.ts";
import type { Governed } from "./mask/govern.ts";
import { SHOWS_NOTHING_MASKED } from "./mask/raw-shape.ts";
import type { RawShape } from "./mask/raw-shape.ts";
import { splice } from "./mask/splice.ts";
import { signatureOf } from "./mask/statement-masking.ts";
import type { StatementMasking } from "./mask/statement-masking.ts";
import { opaqueAccess } from "./opaque-access.ts";
import type { ParsedStatement, ParseResult } from "./parser.ts";

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

/**
 * `prepared` finds what the session has prepared, as a statement to be read again; `parse` reads a text that masks have
 * rewritten.
 */
export function describe(
  statements: readonly ParsedStatement[],
  identity: TextIdentity,
  reading: Reading,
  prepared: PreparedStatements,
  parse: (text: string) => ParseResult,
): Description {
  if (statements.length > STATEMENTS_MAX) {
    return {
      analysis: opaqueAnalysis(identity, reading, `it holds more than ${STATEMENTS_MAX} statements`),
      isSessionBound: false,
    };
  }
  const accesses: Access[] = [];
  const effects: StatementEffect[] = [];
  const governed: Governed[] = [];
  let notUnderstood: string | null = null;
  let isSessionBound = false;
  let current = reading;
  let preparedNow = prepared;
  for (const { kind, node } of statements) {
    const statement: Node = { kind, fields: node };
    const outcome = readStatement(statement, identity, current, preparedNow, statements.length === 1);
    accesses.push(...outcome.accesses);
    effects.push(outcome.effect);
    if (outcome.governed) governed.push(outcome.governed);
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
    masking: reading.plan ? masking(governed, identity.text, statements, parse) : null,
    statements: effects,
  };
  return { analysis, isSessionBound };
}

/** One refusal refuses all of a text. */
function masking(
  governed: readonly Governed[],
  text: string,
  statements: readonly ParsedStatement[],
  parse: (text: string) => ParseResult,
): StatementMasking {
  const hidesDetail = governed.some((each) => each.hidesDetail);
  const refusal = governed.find((each) => each.refusal !== null)?.refusal ?? null;
  const edits = governed.flatMap((each) => each.edits);
  if (refusal !== null) return notSent(refusal, hidesDetail);
  const signature = signatureOf(edits);
  const raw = rawOf(governed);
  const compares = governed.find((each) => each.compares !== null)?.compares?.compared ?? null;
  if (edits.length === 0) return { refusal, rewritten: null, signature, hidesDetail, raw, compares };
  const spliced = splice(text, statements, edits, parse);
  if ("because" in spliced) {
    const message = `masks cannot be put into this statement: ${spliced.because}`;
    return notSent({ message, hint: "Write it in a simpler way." }, hidesDetail);
  }
  return {
    refusal: null,
    rewritten: { bytes: new TextEncoder().encode(spliced.text), positions: spliced.positions },
    signature,
    hidesDetail,
    raw,
    compares,
  };
}

/** Of a whole text: rows of several statements are not told apart. */
function rawOf(governed: readonly Governed[]): RawShape {
  const raw = governed.find((each) => each.raw.kind !== "nothing")?.raw ?? SHOWS_NOTHING_MASKED;
  if (raw.kind === "nothing" || governed.length === 1) return raw;
  return { kind: "refused", because: "several statements are sent as one text" };
}

type Outcome = {
  readonly accesses: readonly Access[];
  readonly effect: StatementEffect;
  readonly unresolved: string | null;
  readonly governed: Governed | null;
  readonly isSessionBound: boolean;
};

function readStatement(
  statement: Node,
  identity: TextIdentity,
  reading: Reading,
  prepared: PreparedStatements,
  isAlone: boolean,
): Outcome {
  const innerAnalysis: InnerAnalysis = (accesses, understood, inner, effect, governed) => {
    const analysis: Analysis = {
      ...identity,
      accesses: atLeastOne(accesses, reading),
      understood,
      notUnderstood: understood ? null : "what was prepared could not be read",
      catalogDigest: reading.catalog?.digest ?? null,
      syntaxError: null,
      masking: governed && keptMasking(governed),
      statements: [effect],
    };
    innerStatements.set(analysis, inner);
    return analysis;
  };
  const reader = new StatementReader(reading, prepared, innerAnalysis);
  try {
    return { ...reader.read(statement, "select", isAlone), isSessionBound: reader.isSessionBound };
  } catch (error) {
    // Whatever went wrong, the statement was not read: it is opaque.
    const because = error instanceof NotUnderstood ? error.message : "it could not be read";
    const { isSessionBound } = reader;
    const governed = reading.plan ? refused(reader.refusal ?? notRead(because)) : null;
    return {
      accesses: [opaqueAccess(reading.database)],
      effect: ANY_EFFECT,
      unresolved: because,
      governed,
      isSessionBound,
    };
  }
}

/** Of a statement that stands within the text that is sent: only that is rewritten. */
function keptMasking({ refusal, edits, hidesDetail, raw }: Governed): StatementMasking {
  if (refusal !== null) return notSent(refusal, hidesDetail);
  return { refusal, rewritten: null, signature: signatureOf(edits), hidesDetail, raw, compares: null };
}

function notSent(refusal: MaskRefusal, hidesDetail: boolean): StatementMasking {
  return { refusal, rewritten: null, signature: null, hidesDetail, raw: SHOWS_NOTHING_MASKED, compares: null };
}

function refused(refusal: MaskRefusal): Governed {
  return { refusal, edits: [], writes: [], hidesDetail: true, raw: SHOWS_NOTHING_MASKED, compares: null };
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
    const kept = statement && { statement, masking: prepares.analysis.masking };
    return (name) => (name === prepares.name ? kept : prepared(name));
  }
  if (deallocates === "all") return () => undefined;
  if (deallocates) return (name) => (name === deallocates.name ? undefined : prepared(name));
  return prepared;
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
    accesses: [opaqueAccess(reading.database)],
    understood: false,
    notUnderstood: because,
    catalogDigest: reading.catalog?.digest ?? null,
    syntaxError,
    masking: reading.plan ? notSent(unread(because, syntaxError), true) : null,
    statements: [ANY_EFFECT],
  };
}

/** What is no SQL is told in the parser's own words. */
function unread(because: string, syntaxError: Analysis["syntaxError"]): MaskRefusal {
  const refusal = notRead(because);
  return syntaxError === null
    ? refusal
    : { ...refusal, hint: "Correct the text: PostgreSQL could not read it either." };
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
