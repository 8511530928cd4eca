/** What a session has, followed from what the server acknowledges: prepared statements, portals, settings, the catalog's age. */
import type { OperationParameters } from "../../src/core/operation.ts";
import type { Frame } from "../../src/wire/framer.ts";
import type { Analysis, Reading } from "./analysis.ts";
import type { TargetDatabase } from "./databases.ts";
import type { StatementMasking } from "./mask/statement-masking.ts";
import { Names } from "./names.ts";
import { endsTransaction } from "./obliged.ts";
import type { Pipeline } from "./pipeline.ts";
import type { TransactionStatus } from "./protocol/backend.ts";
import { type Governed, SessionReading } from "./reading.ts";
import type { Run } from "./run.ts";
import type { LoggedIn } from "./upstream.ts";

export type Statement = {
  analysis: Analysis;
  /** The bytes it was parsed from. */
  readonly sql: Uint8Array;
  /** The name under which those bytes prepare it, among other statements perhaps; null: they are the statement. */
  readonly preparedAs: string | null;
  /** How it was read last; its strings are always those of the first time. */
  readUnder: Reading;
  /** What masking made of the text that the server was sent. */
  readonly sentAs: StatementMasking | null;
};

export type Portal = {
  readonly analysis: Analysis;
  /** What it was bound from; null: it is a cursor, or of a statement that the gateway has not seen. */
  readonly statement: Statement | null;
  /** Null: none, or still streaming. */
  parameters: OperationParameters | null;
  /** A cursor that outlives its transaction. */
  readonly holds: boolean;
  /** What ran it last, of those that were counted as a comparison with a masked column. */
  comparedBy?: Run;
};

export class SessionState {
  readonly statements = new Names<Statement>();
  readonly portals = new Names<Portal>();
  readonly reading: SessionReading;
  readonly #pipeline: Pipeline;
  readonly #database: TargetDatabase;
  #status: TransactionStatus;
  #catalogTouched = false;
  #catalogIsStale = false;

  constructor(database: TargetDatabase, login: LoggedIn, pipeline: Pipeline, governed: Governed | null) {
    this.#pipeline = pipeline;
    this.#database = database;
    this.#status = login.transactionStatus;
    this.reading = new SessionReading(database.name, login.parameterStatus, governed, () => database.catalog, {
      preparedStatement: (name) => this.#preparedBySql(name),
      cursor: (name) => this.portals.committed(name)?.analysis,
    });
  }

  /** As of the last ReadyForQuery. */
  get status(): TransactionStatus {
    return this.#status;
  }

  /** The session's own definitions are committed, and the catalog was not loaded since. */
  get catalogIsStale(): boolean {
    return this.#catalogIsStale;
  }

  /** The catalog is being loaded. The function it returns is called when it is there. */
  catalogRequested(): () => void {
    this.#catalogIsStale = false;
    return () => {
      if (!this.#catalogTouched) this.reading.clearRedefined();
    };
  }

  /** For `EXECUTE name` in SQL. */
  #preparedBySql(name: string): Analysis | undefined {
    const found = this.statements.lookup(name, this.#pipeline.segment);
    return found.kind === "known" ? found.value.analysis : undefined;
  }

  /* ---- names on their way ---- */

  /** For the server's acknowledgement of a simple query, which replaces the unnamed statement and portal, whatever becomes of it. */
  replaceUnnamed(): () => void {
    const { segment } = this.#pipeline;
    const statement = this.statements.announce("", segment, null);
    const portal = this.portals.announce("", segment, null);
    return () => {
      this.statements.acknowledge(statement);
      this.portals.acknowledge(portal);
    };
  }

  /** For the server's acknowledgement of a Parse. */
  giveStatement(name: string, statement: Statement): (acknowledged: boolean) => void {
    return settling(this.statements, this.statements.announce(name, this.#pipeline.segment, statement));
  }

  /** For that of a Bind. */
  givePortal(name: string, portal: Portal): (acknowledged: boolean) => void {
    return settling(this.portals, this.portals.announce(name, this.#pipeline.segment, portal));
  }

  /** For that of a Close. */
  withdraw(of: "statement" | "portal", name: string): (acknowledged: boolean) => void {
    const { segment } = this.#pipeline;
    return of === "statement"
      ? settling(this.statements, this.statements.announce(name, segment, null))
      : settling(this.portals, this.portals.announce(name, segment, null));
  }

  /* ---- what statements change ---- */

  /** May it change how the next text is read, or what the next name means? */
  mayChange(analysis: Analysis): boolean {
    if (isUnread(analysis)) return true;
    for (const effect of analysis.statements) {
      if (
        effect.changesReading ||
        effect.changesCatalog ||
        effect.redefines !== null ||
        effect.prepares !== null ||
        effect.deallocates !== null ||
        effect.declaresCursor !== null ||
        effect.closesCursor !== null ||
        effect.createsTemporary !== null ||
        (effect.transaction !== null && this.reading.mayBeTakenBack)
      ) {
        return true;
      }
    }
    return false;
  }

  /** CommandComplete or EmptyQueryResponse of one statement of an operation. */
  statementDone(run: Run): void {
    const effect = run.analysis?.statements[run.statementsDone++];
    if (effect === undefined) return;
    const readUnder = this.reading.current();
    const { prepares, deallocates, declaresCursor, closesCursor } = effect;
    if (prepares !== null) {
      const sql = new TextEncoder().encode(prepares.analysis.text);
      const { name, analysis } = prepares;
      this.statements.commit(name, { analysis, sql, preparedAs: name, readUnder, sentAs: analysis.masking });
    }
    if (deallocates === "all") this.statements.keepOnly(() => false);
    else if (deallocates !== null) this.statements.commit(deallocates.name, null);
    if (declaresCursor !== null) {
      this.portals.commit(declaresCursor.name, {
        analysis: declaresCursor.analysis,
        statement: null,
        parameters: null,
        holds: declaresCursor.holds,
      });
    }
    if (closesCursor === "all") this.portals.keepOnly(() => false);
    else if (closesCursor !== null) this.portals.commit(closesCursor.name, null);
    if (effect.redefines !== null) this.reading.addRedefined(effect.redefines);
    if (effect.createsTemporary !== null) this.reading.addTemporary(effect.createsTemporary);
    if (effect.transaction !== null) this.reading.takenBack();
  }

  /** What an operation that has come to its end may have changed about how the next text is read. */
  operationEnded(run: Run, isDone: boolean): void {
    const { analysis } = run;
    if (analysis === null || run.onlyPrepares) return;
    if (isDone && run === this.#pipeline.lastWork && analysis.statements.some(endsTransaction))
      this.#pipeline.transactionEnded(run);
    const mayDoAnything = isUnread(analysis);
    if (mayDoAnything || analysis.statements.some((effect) => effect.changesReading)) this.reading.changed();
    if (mayDoAnything && isDone) this.reading.addTemporary("unknown");
    if (mayDoAnything || analysis.statements.some((effect) => effect.changesCatalog)) this.#catalogTouched = true;
  }

  ready(status: TransactionStatus): void {
    this.#status = status;
    if (status !== "I") return;
    this.portals.keepOnly((portal) => portal.holds);
    this.reading.settled();
    if (this.#catalogTouched) {
      this.#catalogTouched = false;
      this.#catalogIsStale = true;
      this.#database.changed();
    }
  }
}

/** Hashes the parameters of a Bind that is too large to keep, for the record of its Execute. */
export class StreamedParameters {
  readonly #portal: Portal;
  readonly #hash = new Bun.CryptoHasher("sha256");

  constructor(portal: Portal, first: Uint8Array) {
    this.#portal = portal;
    this.#hash.update(first);
  }

  take(frame: Frame): void {
    this.#hash.update(frame.body);
    if (frame.isLast) this.#portal.parameters = { sha256: this.#hash.digest() };
  }
}

function settling<T>(names: Names<T>, pending: ReturnType<Names<T>["announce"]>): (acknowledged: boolean) => void {
  return (acknowledged) => {
    if (acknowledged) names.acknowledge(pending);
    else names.drop(pending);
  };
}

/** Not even its statements are known: it may do anything. What is known of a statement says what it changes. */
function isUnread(analysis: Analysis): boolean {
  return !analysis.understood && analysis.statements.length === 0;
}
