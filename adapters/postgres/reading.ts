/** The state of a session that decides how its texts are read: followed from the server's own reports, never assumed. */
import type { Analysis, Reading } from "./analysis.ts";
import type { Catalog } from "./catalog.ts";
import type { MaskingPlan } from "./mask/plan.ts";
import { parseSearchPath, resolveSearchPath } from "./search-path.ts";

/** What the session must be asked: `SHOW` is used because it takes no snapshot and so disturbs no transaction. */
export const READING_SETTINGS = ["search_path", "role", "session_authorization"] as const;
/** The same in the middle of a pipeline, with what servers report at its end. */
export const PIPELINE_SETTINGS = [...READING_SETTINGS, "standard_conforming_strings", "client_encoding"] as const;

/** Those that servers report by themselves when they change: session_authorization always has been, search_path since 18. */
const REPORTED_SETTINGS: ReadonlySet<string> = new Set(["search_path", "session_authorization"]);

export interface SessionNames {
  preparedStatement(name: string): Analysis | undefined;
  cursor(name: string): Analysis | undefined;
}

/** What there is to know of a session in which columns are masked. */
export type Governed = {
  readonly plan: MaskingPlan;
  /**
   * Whose right to use schemas the catalog knows: guarded sessions log in as another role, which was given the same.
   * Null: the session's own.
   */
  readonly schemasOf: string | null;
};

export class SessionReading {
  readonly #database: string;
  readonly #governed: Governed | null;
  readonly #names: SessionNames;
  readonly #currentCatalog: () => Catalog | null;
  #serverMajor: number;
  #standardConformingStrings: boolean;
  #clientEncodingIsUtf8: boolean;
  #settings: ReadonlyMap<string, string> | null = null;
  /** What the server has answered inside a pipeline, and reports only at its end, if it is not changed back by then. */
  #unreported: { readonly standardConformingStrings: boolean; readonly clientEncodingIsUtf8: boolean } | null = null;
  #temporaryNames: Set<string> | "unknown" = new Set();
  #redefinedNames: Set<string> | "all" = new Set();
  #built: Reading | null = null;
  #builtFor: Catalog | null = null;
  /** Whether the answers to READING_SETTINGS still hold. */
  isStale = true;
  /** Settings were changed inside the transaction, so that its end may change them back. */
  #mayBeTakenBack = false;

  constructor(
    database: string,
    parameterStatus: ReadonlyMap<string, string>,
    governed: Governed | null,
    currentCatalog: () => Catalog | null,
    names: SessionNames,
  ) {
    this.#database = database;
    this.#governed = governed;
    this.#names = names;
    this.#currentCatalog = currentCatalog;
    this.#serverMajor = majorOf(parameterStatus.get("server_version") ?? "");
    this.#standardConformingStrings = parameterStatus.get("standard_conforming_strings") === "on";
    this.#clientEncodingIsUtf8 = parameterStatus.get("client_encoding") === "UTF8";
  }

  /** The server reported a parameter. */
  parameter(name: string, value: string): void {
    if (name === "standard_conforming_strings") this.#standardConformingStrings = value === "on";
    else if (name === "client_encoding") this.#clientEncodingIsUtf8 = value === "UTF8";
    else if (name === "server_version") this.#serverMajor = majorOf(value);
    else if (REPORTED_SETTINGS.has(name)) this.changed();
    else return;
    this.#built = null;
  }

  /** The server answered READING_SETTINGS or PIPELINE_SETTINGS. */
  answer(settings: ReadonlyMap<string, string>): void {
    this.#settings = settings;
    const strings = settings.get("standard_conforming_strings");
    if (strings !== undefined) {
      const clientEncodingIsUtf8 = settings.get("client_encoding") === "UTF8";
      this.#unreported = { standardConformingStrings: strings === "on", clientEncodingIsUtf8 };
    }
    this.isStale = false;
    this.#built = null;
  }

  get mayBeTakenBack(): boolean {
    return this.#mayBeTakenBack;
  }

  /** A statement ran that may have changed the settings, for good or until the transaction or a part of it ends. */
  changed(): void {
    this.#mayBeTakenBack = true;
    this.#forget();
  }

  /** A transaction, or a part of it, has ended or failed: what was changed in it may be as it was. */
  takenBack(): void {
    if (this.#mayBeTakenBack) this.#forget();
  }

  /** The pipeline's end is on its way, and with it that of its transaction. */
  pipelineEnds(): void {
    if (this.#unreported === null) return;
    this.#unreported = null;
    this.#built = null;
    this.takenBack();
  }

  /** No transaction is open: from now on nothing can be taken back. */
  settled(): void {
    this.takenBack();
    this.#mayBeTakenBack = false;
  }

  #forget(): void {
    this.#settings = null;
    this.#unreported = null;
    this.isStale = true;
    this.#built = null;
  }

  addTemporary(names: readonly string[] | "unknown"): void {
    if (names === "unknown" || this.#temporaryNames === "unknown") this.#temporaryNames = "unknown";
    else this.#temporaryNames = new Set([...this.#temporaryNames, ...names]);
    this.#built = null;
  }

  /** The session's own DDL changed what these names mean; until the catalog is loaded again, it does not speak for them. */
  addRedefined(names: readonly string[] | "all"): void {
    if (names === "all" || this.#redefinedNames === "all") this.#redefinedNames = "all";
    else this.#redefinedNames = new Set([...this.#redefinedNames, ...names]);
    this.#built = null;
  }

  /** The catalog was loaded after the transaction that redefined them had ended. */
  clearRedefined(): void {
    if (this.#redefinedNames !== "all" && this.#redefinedNames.size === 0) return;
    this.#redefinedNames = new Set();
    this.#built = null;
  }

  /** The same object as long as nothing has changed. */
  current(): Reading {
    const catalog = this.#currentCatalog();
    if (this.#built !== null && this.#builtFor === catalog) return this.#built;
    this.#builtFor = catalog;
    this.#built = this.#build(catalog);
    return this.#built;
  }

  /** As current(), where settings may have changed and the server cannot be asked: a text is read as opaque. */
  untrusted(): Reading {
    return { ...this.#build(this.#currentCatalog()), searchPath: null, cannotBeAsked: true };
  }

  /** How a text that was parsed under `then` is read now: its names are looked up anew, its strings are as they were parsed. */
  again(then: Reading): Reading {
    const now = this.current();
    if (
      then.standardConformingStrings === now.standardConformingStrings &&
      then.clientEncodingIsUtf8 === now.clientEncodingIsUtf8
    )
      return now;
    return {
      ...now,
      standardConformingStrings: then.standardConformingStrings,
      clientEncodingIsUtf8: then.clientEncodingIsUtf8,
    };
  }

  #build(catalog: Catalog | null): Reading {
    return {
      database: this.#database,
      ...(this.#governed === null ? {} : { plan: this.#governed.plan }),
      catalog: this.#redefinedNames === "all" ? null : catalog,
      ...(this.#redefinedNames === "all" || this.#redefinedNames.size === 0
        ? {}
        : { redefinedNames: this.#redefinedNames }),
      serverMajor: this.#serverMajor,
      searchPath: this.#searchPath(catalog),
      temporaryNames: this.#temporaryNames,
      ...(this.#mayBeTakenBack ? { mayBeTakenBack: true } : {}),
      standardConformingStrings: this.#unreported?.standardConformingStrings ?? this.#standardConformingStrings,
      clientEncodingIsUtf8: this.#unreported?.clientEncodingIsUtf8 ?? this.#clientEncodingIsUtf8,
      preparedStatement: (name) => this.#names.preparedStatement(name),
      cursor: (name) => this.#names.cursor(name),
    };
  }

  #searchPath(catalog: Catalog | null): readonly string[] | null {
    const text = this.#settings?.get("search_path");
    const role = this.#settings?.get("role");
    const user = role === "none" ? this.#settings?.get("session_authorization") : role;
    if (catalog === null || text === undefined || user === undefined) return null;
    // The answers come in the client's encoding: read as another, they could name another schema.
    const isUtf8 = this.#unreported?.clientEncodingIsUtf8 ?? this.#clientEncodingIsUtf8;
    if (!isUtf8 && !isAscii(text + user)) return null;
    const names = parseSearchPath(text);
    return names === null ? null : resolveSearchPath(names, this.#governed?.schemasOf ?? user, catalog);
  }
}

export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** 15 of "15.18 (Debian 15.18-1)"; 0 when there is no number, which no grammar is for. */
function majorOf(version: string): number {
  const major = Number.parseInt(version, 10);
  return Number.isNaN(major) ? 0 : major;
}
