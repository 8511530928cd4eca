/** What a text of SQL does, as read under one state of a session: the words between the analyser and a conversation. */
import type { Accesses } from "../../src/core/operation.ts";
import type { Catalog } from "./catalog.ts";
import type { MaskingPlan } from "./mask/plan.ts";
import type { StatementMasking } from "./mask/statement-masking.ts";

/** The state of a session that decides how its next text is read. Built when a text is analysed, never kept. */
export type Reading = {
  readonly database: string;
  /** Null: not loaded; every name that needs it is then unknown. */
  readonly catalog: Catalog | null;
  /** 15 to 18; another major is read with the nearest grammar, and what it does not know is opaque. */
  readonly serverMajor: number;
  /** The effective path, `$user` already replaced, without the implicit pg_catalog and pg_temp. Null: not known. */
  readonly searchPath: readonly string[] | null;
  /** The session's temporary relations, functions and types: they come before those of the path. */
  readonly temporaryNames: ReadonlySet<string> | "unknown";
  /**
   * Bare names of relations, functions, types and operators that the session's own DDL has changed since the catalog
   * was loaded (StatementEffect.redefines): the catalog does not speak for them. Left out: none.
   */
  readonly redefinedNames?: ReadonlySet<string>;
  /** The transaction has changed settings that decide this: its end, or that of a part of it, may change them back. */
  readonly mayBeTakenBack?: true;
  readonly standardConformingStrings: boolean;
  readonly clientEncodingIsUtf8: boolean;
  /** Some of this may have changed, and the server cannot be asked: no text can be read. */
  readonly cannotBeAsked?: true;
  /** Of a governed session; left out: no mask can apply to it. */
  readonly plan?: MaskingPlan;
  /** What the session has prepared under this name (SQL and protocol share the names). */
  preparedStatement(name: string): Analysis | undefined;
  /** The query behind this cursor or portal (SQL and protocol share the names). */
  cursor(name: string): Analysis | undefined;
};

/** Immutable and shared: the same text under the same reading gives the same object, so work may be cached by `accesses`. */
export type Analysis = {
  /** The text as decoded; for bytes that are no UTF-8, their replacement characters. */
  readonly text: string;
  /** Lower-case hex SHA-256 of the bytes. */
  readonly textSha256: string;
  readonly accesses: Accesses;
  /** False: some access is opaque because its text could not be read. */
  readonly understood: boolean;
  /** One sentence for people on what could not be read; null when all could. Names, never literals. */
  readonly notUnderstood: string | null;
  readonly catalogDigest: string | null;
  /** The parser's own complaint; position is in characters from 1, as the server counts, 0 when there is none. */
  readonly syntaxError: { readonly message: string; readonly position: number } | null;
  /** Null: the session is not governed, or nothing is known of what masking makes of it, so that none may run it. */
  readonly masking: StatementMasking | null;
  /** One entry per statement, in order; empty for an empty query and for a text that could not be read. */
  readonly statements: readonly StatementEffect[];
};

export type TransactionEffect =
  | "begin"
  | "commit"
  | "rollback"
  | "savepoint"
  | "release"
  | "rollback to"
  | "prepare transaction"
  | "commit prepared"
  | "rollback prepared";

/** What a conversation has to follow after a statement; on the server's acknowledgement, not before. */
export type StatementEffect = {
  /** COPY FROM STDIN: the client will send data. */
  readonly copiesIn: boolean;
  /** COPY TO STDOUT: the server will send data. */
  readonly copiesOut: boolean;
  /** Of such a COPY: its options by lower-case name; the value is null where it is none or no single text. */
  readonly copyOptions: ReadonlyMap<string, string | null> | null;
  /** May change search_path, role, string syntax, encoding or temporary objects: read them again before the next text. */
  readonly changesReading: boolean;
  /** May change the catalog: load it again. */
  readonly changesCatalog: boolean;
  /** Bare names that the catalog does not speak for until it is loaded again; `all`: it speaks for none. */
  readonly redefines: readonly string[] | "all" | null;
  readonly prepares: { readonly name: string; readonly analysis: Analysis } | null;
  /** A name, or all. */
  readonly deallocates: { readonly name: string } | "all" | null;
  readonly declaresCursor: { readonly name: string; readonly holds: boolean; readonly analysis: Analysis } | null;
  readonly closesCursor: { readonly name: string } | "all" | null;
  /** Names that become temporary relations, functions or types of the session. */
  readonly createsTemporary: readonly string[] | "unknown" | null;
  readonly transaction: TransactionEffect | null;
  /** Would let a session or a transaction that only reads write, as far as the server lets it. */
  readonly undoesReadOnly: boolean;
  /** Calls a procedure, which may end the transaction and begin another. */
  readonly callsProcedure: boolean;
};
