/** Reads a session's texts and names as the server will take them, or says that it must wait for what may change that. */
import { FramingError } from "../../src/wire/framer.ts";
import type { Analysis, Reading } from "./analysis.ts";
import type { TargetDatabase } from "./databases.ts";
import { SHOWS_NOTHING_MASKED } from "./mask/raw-shape.ts";
import { OUTDATED } from "./describe/references.ts";
import { notRead } from "./mask/govern.ts";
import { typeRefusal } from "./mask/governed-functions.ts";
import type { SessionMasking } from "./mask/session-masking.ts";
import type { Pipeline } from "./pipeline.ts";
import { isSentAs, type StatementMasking } from "./mask/statement-masking.ts";
import { isAscii } from "./reading.ts";
import type { Replies } from "./replies.ts";
import type { Portal, SessionState, Statement } from "./session-state.ts";
import { SettingsQuestion } from "./settings-question.ts";
import { unseenAnalysis, unseenText } from "./unseen.ts";

export type TextReaderParts = {
  readonly database: TargetDatabase;
  readonly masking: SessionMasking;
  readonly state: SessionState;
  readonly pipeline: Pipeline;
  readonly replies: Replies;
  /** Makes the server send the replies that are waited for; what waits to be sent goes first. */
  flushForBarrier(): void;
  /** No message is taken until this work is done. */
  await(work: Promise<unknown>): void;
  /** Sends the question; its answers come to answered(). */
  ask(question: SettingsQuestion): void;
  /** What is masked for the session is not what it was when it was opened. */
  masksChanged(): void;
  /** What is masked for the session cannot be worked out any more. */
  masksUnknown(because: unknown): void;
  /** masksHold() said no before, and the masks are known to hold now. */
  masksHeld(): void;
};

export class TextReader {
  readonly #parts: TextReaderParts;
  /** What was read in another process, for the message that waits for it. */
  #slowAnalysis: { readonly sql: Uint8Array; readonly reading: Reading; readonly analysis: Analysis } | null = null;
  #question: SettingsQuestion | null = null;
  #cannotAsk = false;
  #hasLoadedCatalog = false;

  constructor(parts: TextReaderParts) {
    this.#parts = parts;
  }

  /** The name of the database that the session is in. */
  get database(): string {
    return this.#parts.database.name;
  }

  /** Null: not now, as for all that follows; it comes again when something has changed. */
  read(sql: Uint8Array): Analysis | null {
    const reading = this.readingNow();
    return reading === null ? null : this.readUnder(sql, reading);
  }

  /** As read(), of a text that comes without parameters. */
  readRequest(sql: Uint8Array): Analysis | null {
    const analysis = this.read(sql);
    return analysis === null || analysis.masking === null || analysis.masking.compares === null
      ? analysis
      : refusedBy(analysis, {
          message: `column "${analysis.masking.compares.column}" is masked, and is only compared with a parameter of the extended protocol`,
          hint: "Send the statement with Parse, Bind and Execute, as drivers do for statements with parameters.",
        });
  }

  /** A long text is read in a process of its own, and a name that is not known may be in a newer catalog. */
  readUnder(sql: Uint8Array, reading: Reading): Analysis | null {
    const { database } = this.#parts;
    const slow = this.#slowAnalysis;
    this.#slowAnalysis = null;
    const isSlow = slow !== null && isSameReading(slow.reading, reading) && Buffer.compare(slow.sql, sql) === 0;
    const analysis = isSlow ? slow.analysis : database.analyser.analyse(sql, reading);
    if (!(analysis instanceof Promise)) return this.#needsCatalog(analysis) ? null : analysis;
    this.#parts.await(
      analysis.then((result) => {
        this.#slowAnalysis = { sql, reading, analysis: result };
      }),
    );
    return null;
  }

  /**
   * Was something not known that the catalog, loaded again, may know? Then it is loaded, once for each text. Other
   * texts do not wait for it: names that the session's own DDL has changed are unknown until then.
   */
  #needsCatalog(analysis: Analysis): boolean {
    const { database, state } = this.#parts;
    const mayHelp = (state.catalogIsStale || database.catalog === null) && !this.#hasLoadedCatalog;
    this.#hasLoadedCatalog = false;
    if (!mayHelp) return false;
    if (database.catalog !== null && !analysis.accesses.some((access) => access.opaque)) return false;
    this.#hasLoadedCatalog = true;
    const loaded = state.catalogRequested();
    this.#parts.await(database.refreshCatalog().then(loaded));
    return true;
  }

  /** Do the session's masks still hold? False: not now, or never again. */
  masksHold(): boolean {
    const { masking, database } = this.#parts;
    // Where nothing is masked yet, looking every few seconds is enough: whoever makes the first masked column knows.
    if (masking.plan !== null && database.isBehind) {
      this.#holdLater(database.catchUp().then(() => true));
      return false;
    }
    const held = masking.check(database.catalog);
    if (held === null) return true;
    if (held === false) this.#parts.masksChanged();
    else this.#holdLater(held);
    return false;
  }

  /** Asked again when it is known: something may run on, and nobody may send a message that would ask. */
  #holdLater(held: Promise<boolean>): void {
    this.#parts.await(
      held.then(
        (holds) => {
          if (!holds) this.#parts.masksChanged();
          else if (this.masksHold()) this.#parts.masksHeld();
        },
        (because: unknown) => this.#parts.masksUnknown(because),
      ),
    );
  }

  /** How a text is read now. */
  readingNow(): Reading | null {
    if (!this.masksHold()) return null;
    const { pipeline, replies, state } = this.#parts;
    const { reading } = state;
    if (pipeline.hasBarrier) {
      this.#parts.flushForBarrier();
      return null;
    }
    if (!reading.isStale) return reading.current();
    const isQuiet = replies.inFlight === 0 && pipeline.unstartedRuns === 0;
    if (state.status === "E" || this.#cannotAsk) {
      // When nothing is under way, what the server reports by itself (string syntax, encoding) holds; only the path is not known.
      if (isQuiet && pipeline.lastWork === null) return reading.current();
      if (pipeline.isOpen) return reading.untrusted();
    }
    if (!isQuiet) {
      // Without an open segment the Sync is on its way, and its ReadyForQuery comes.
      if (pipeline.isOpen) this.#parts.flushForBarrier();
      return null;
    }
    this.#question = new SettingsQuestion(pipeline.lastWork !== null);
    this.#parts.ask(this.#question);
    return reading.isStale ? null : reading.current();
  }

  /** With the types that a client gives its parameters: whoever makes a value of a type runs the type's own functions. */
  withParameters(analysis: Analysis, types: readonly number[]): Analysis {
    const { plan } = this.#parts.masking;
    const { catalog } = this.#parts.database;
    if (plan === null || analysis.masking === null) return analysis;
    for (const type of types) {
      const functions = catalog?.typeFunctionsByOid(type) ?? null;
      if (functions === null)
        return refusedBy(analysis, notRead(`a parameter has the type ${type}, which is not known`));
      const refusal = typeRefusal(functions, plan);
      if (refusal !== null) return refusedBy(analysis, refusal);
    }
    const { compares } = analysis.masking;
    const declared = compares === null ? 0 : (types[compares.parameter - 1] ?? 0);
    if (compares === null || declared === 0 || compares.types.includes(declared)) return analysis;
    return refusedBy(analysis, {
      message: `column "${compares.column}" is masked, and its parameter $${compares.parameter} is declared as another type than the column's`,
      hint: "Declare it as the column's type, or let the server find the type.",
    });
  }

  /** A prepared statement as it would be read now. */
  readAgain(statement: Statement): Analysis | null {
    if (!this.masksHold()) return null;
    const { reading } = this.#parts.state;
    if (!this.#parts.pipeline.hasBarrier && !reading.isStale && statement.readUnder === reading.current()) {
      return statement.analysis;
    }
    const now = this.readingNow();
    if (now === null) return null;
    if (reading.isStale && now !== reading.current()) return this.#readStatement(statement, now);
    const again = reading.again(statement.readUnder);
    const analysis = this.#readStatement(statement, again);
    if (analysis === null) return null;
    // What it was is kept: the catalog may go back to that.
    if (analysis.masking !== null && analysis.masking.refusal !== null) return analysis;
    if (!isSentAs(analysis.masking, statement.sentAs)) return refusedBy(analysis, OUTDATED);
    statement.analysis = analysis;
    statement.readUnder = again;
    return analysis;
  }

  /**
   * What runs when a portal does. Some statements look names up only then (COPY, EXECUTE): under another catalog it is
   * refused unless it would be sent as it was.
   */
  readPortal({ analysis, statement }: Portal): Analysis | null {
    const { masking, database } = this.#parts;
    if (masking.plan === null || statement === null || analysis.catalogDigest === (database.catalog?.digest ?? null)) {
      return analysis;
    }
    const now = this.readAgain(statement);
    if (now === null || now.masking === null || now.masking.refusal !== null) return now;
    return analysis;
  }

  #readStatement(statement: Statement, reading: Reading): Analysis | null {
    const analysis = this.readUnder(statement.sql, reading);
    const { preparedAs } = statement;
    if (analysis === null || preparedAs === null) return analysis;
    const prepares = analysis.statements.findLast((effect) => effect.prepares?.name === preparedAs)?.prepares;
    return prepares?.analysis ?? analysis;
  }

  /**
   * Which name these bytes are to the server depends on client_encoding, unless they are plain ASCII. False: not now.
   * Throws FramingError when it is not UTF-8.
   */
  canTell(name: string): boolean {
    if (isAscii(name)) return true;
    const reading = this.readingNow();
    if (reading?.cannotBeAsked === true)
      throw new FramingError(
        "a name that is not plain ASCII came where client_encoding may have changed and cannot be asked",
      );
    if (reading !== null && !reading.clientEncodingIsUtf8)
      throw new FramingError("a name that is not plain ASCII came while client_encoding is not UTF8");
    return reading !== null;
  }

  /** What the server may know under this name, and the gateway does not. */
  unseen(of: "statement" | "portal", name: string): Analysis {
    return unseenAnalysis(unseenText(of, name), this.#parts.database.name);
  }

  /* ---- the question for the settings ---- */

  row(body: Uint8Array): void {
    this.#question?.row(body);
  }

  answered(isDone: boolean): void {
    const answers = isDone ? (this.#question?.answers() ?? null) : null;
    if (answers === null) this.#cannotAsk = true;
    else this.#parts.state.reading.answer(answers);
  }

  /** The client has got something done, so it may be tried again: not when it was the question itself that failed. */
  mayAskAgain(): void {
    this.#cannotAsk = false;
  }
}

function refusedBy(analysis: Analysis, refusal: NonNullable<StatementMasking["refusal"]>): Analysis {
  return {
    ...analysis,
    masking: {
      refusal,
      rewritten: null,
      signature: null,
      hidesDetail: true,
      raw: SHOWS_NOTHING_MASKED,
      compares: null,
    },
  };
}

function isSameReading(a: Reading, b: Reading): boolean {
  return (
    a.catalog === b.catalog &&
    a.temporaryNames === b.temporaryNames &&
    a.standardConformingStrings === b.standardConformingStrings &&
    a.clientEncodingIsUtf8 === b.clientEncodingIsUtf8 &&
    a.cannotBeAsked === b.cannotBeAsked &&
    a.searchPath?.join("\n") === b.searchPath?.join("\n")
  );
}
