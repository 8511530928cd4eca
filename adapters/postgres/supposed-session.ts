/** A session that nobody has opened: reads texts one after the other, as a session with a kept catalog would. */
import type { Analyser } from "./analyser.ts";
import type { Analysis, StatementEffect } from "./analysis.ts";
import type { SessionDefaults } from "./catalog-detail.ts";
import type { KeptCatalog } from "./kept-catalog.ts";
import { loadParser, parse } from "./parser.ts";
import type { Fields } from "./parser.ts";
import { SessionReading } from "./reading.ts";
import { nodesOf, optionText, textOf } from "./describe/tree.ts";
import { joinSearchPath } from "./search-path.ts";

/** Settings that decide how a text is read, and what each is in a new session. */
type Settings = {
  readonly search_path: string;
  readonly role: string;
  readonly session_authorization: string;
  readonly standard_conforming_strings: string;
  readonly client_encoding: string;
};

const encoder = new TextEncoder();

/**
 * Follows what statements do to the session under two suppositions, since there is no server to ask: every statement
 * before has run and succeeded, and no function but set_config changes settings. Where a text depends on what only the
 * server can tell, that is said instead of a guess.
 */
export class SupposedSession {
  readonly #analyser: Analyser;
  readonly #reading: SessionReading;
  readonly #serverMajor: number;
  readonly #defaults: Settings;
  #now: Settings;
  /** What COMMIT and ROLLBACK make of the settings; null outside a transaction. */
  #transaction: { committed: Settings; readonly before: Settings } | null = null;
  readonly #prepared = new Map<string, Analysis>();
  readonly #cursors = new Map<string, { readonly analysis: Analysis; readonly holds: boolean }>();
  /** Why nothing can be said of what follows; null while it can. */
  #lost: string | null = null;
  #hasRedefined = false;

  constructor(analyser: Analyser, catalog: KeptCatalog, defaults: SessionDefaults, database: string) {
    this.#analyser = analyser;
    this.#serverMajor = defaults.serverMajor;
    this.#defaults = {
      search_path: defaults.searchPath,
      role: "none",
      session_authorization: defaults.role,
      standard_conforming_strings: defaults.standardConformingStrings ? "on" : "off",
      client_encoding: "UTF8",
    };
    this.#now = this.#defaults;
    const status = new Map([
      ["server_version", String(defaults.serverMajor)],
      ["standard_conforming_strings", this.#defaults.standard_conforming_strings],
      ["client_encoding", "UTF8"],
    ]);
    this.#reading = new SessionReading(database, status, null, () => catalog, {
      preparedStatement: (name) => this.#prepared.get(name),
      cursor: (name) => this.#cursors.get(name)?.analysis,
    });
    this.#reading.answer(new Map(Object.entries(this.#now)));
  }

  /** What the text does; or a sentence that says why only the server could tell. */
  async read(text: string): Promise<Analysis | string> {
    if (this.#lost !== null) return this.#lost;
    await loadParser(this.#serverMajor);
    const analysis = await this.#analyser.analyse(encoder.encode(text), this.#reading.current());
    if (!analysis.understood && this.#hasRedefined) {
      return "it may speak of what a text before it has defined or changed; give it a case of its own";
    }
    this.#follow(text, analysis);
    return analysis;
  }

  #follow(text: string, analysis: Analysis): void {
    if (callsSetConfig(analysis)) {
      this.#lost = "set_config before it may have changed how it is read; write SET instead";
      return;
    }
    const parsed = parse(text, this.#serverMajor);
    const statements = parsed.kind === "statements" ? parsed.statements : [];
    for (const [index, effect] of analysis.statements.entries()) {
      const statement = statements[index];
      if (statement?.kind === "VariableSetStmt") this.#set(statement.node);
      else if (statement?.kind === "DiscardStmt") this.#discard(textOf(statement.node["target"]));
      this.#followEffect(effect);
      this.#followTransaction(effect.transaction);
    }
    this.#answer();
  }

  #followEffect(effect: StatementEffect): void {
    const { prepares, deallocates, declaresCursor, closesCursor } = effect;
    if (prepares !== null) this.#prepared.set(prepares.name, prepares.analysis);
    if (deallocates === "all") this.#prepared.clear();
    else if (deallocates !== null) this.#prepared.delete(deallocates.name);
    if (declaresCursor !== null) this.#cursors.set(declaresCursor.name, declaresCursor);
    if (closesCursor === "all") this.#cursors.clear();
    else if (closesCursor !== null) this.#cursors.delete(closesCursor.name);
    if (effect.createsTemporary !== null) this.#reading.addTemporary(effect.createsTemporary);
    if (effect.redefines !== null) {
      this.#reading.addRedefined(effect.redefines);
      this.#hasRedefined = true;
    }
  }

  #followTransaction(effect: StatementEffect["transaction"]): void {
    if (effect === "begin") {
      this.#transaction ??= { committed: this.#now, before: this.#now };
    } else if (effect === "commit" || effect === "prepare transaction") {
      this.#now = this.#transaction?.committed ?? this.#now;
      this.#end();
    } else if (effect === "rollback") {
      this.#now = this.#transaction?.before ?? this.#now;
      this.#end();
    } else if (effect === "rollback to" && this.#transaction !== null && this.#now !== this.#transaction.before) {
      this.#lost = "ROLLBACK TO before it may have changed settings back; give it a case of its own";
    }
  }

  #end(): void {
    this.#transaction = null;
    for (const [name, { holds }] of this.#cursors) if (!holds) this.#cursors.delete(name);
  }

  /** https://www.postgresql.org/docs/current/sql-set.html */
  #set(fields: Fields): void {
    const kind = textOf(fields["kind"]);
    if (kind === "VAR_RESET_ALL") {
      const { role, session_authorization } = this.#now;
      this.#change({ ...this.#defaults, role, session_authorization }, false);
      return;
    }
    const name = textOf(fields["name"]).toLowerCase();
    if (!isKept(name, this.#defaults) || kind === "VAR_SET_CURRENT" || kind === "VAR_SET_MULTI") return;
    const values = nodesOf(fields["args"]).map((node) => optionText(node) ?? "");
    const value = kind === "VAR_SET_VALUE" ? valueOf(name, values) : this.#defaults[name];
    const isLocal = fields["is_local"] === true;
    // Outside a transaction SET LOCAL does nothing.
    if (isLocal && this.#transaction === null) return;
    this.#change({ ...this.#now, [name]: value }, isLocal);
  }

  #discard(target: string): void {
    if (target === "DISCARD_ALL") this.#change(this.#defaults, false);
    if (target === "DISCARD_ALL" || target === "DISCARD_TEMP") {
      // The names stay taken for temporary: at worst something is not known.
      this.#reading.changed();
    }
  }

  #change(settings: Settings, isLocal: boolean): void {
    if (this.#transaction !== null && !isLocal) {
      const changed = Object.entries(settings).filter(([name, value]) => !isSame(this.#now, name, value));
      this.#transaction.committed = { ...this.#transaction.committed, ...Object.fromEntries(changed) };
    }
    this.#now = settings;
    this.#reading.changed();
  }

  /** Tells the reading what SHOW and ParameterStatus would. */
  #answer(): void {
    if (this.#transaction === null) this.#reading.settled();
    this.#reading.parameter("standard_conforming_strings", this.#now.standard_conforming_strings);
    this.#reading.parameter("client_encoding", this.#now.client_encoding);
    this.#reading.answer(new Map(Object.entries(this.#now)));
  }
}

function callsSetConfig(analysis: Analysis): boolean {
  return analysis.accesses.some(({ facts }) => {
    const { functions } = facts;
    return typeof functions === "object" && functions.includes("pg_catalog.set_config");
  });
}

function isKept(name: string, settings: Settings): name is keyof Settings {
  return Object.hasOwn(settings, name);
}

function isSame(settings: Settings, name: string, value: string): boolean {
  return isKept(name, settings) && settings[name] === value;
}

/** As SHOW would tell it. */
function valueOf(name: keyof Settings, values: readonly string[]): string {
  const [first = ""] = values;
  switch (name) {
    case "search_path":
      return joinSearchPath(values);
    case "standard_conforming_strings":
      return ["on", "true", "yes", "1", "t", "y"].includes(first.toLowerCase()) ? "on" : "off";
    case "client_encoding":
      return ["utf8", "utf-8", "unicode"].includes(first.toLowerCase()) ? "UTF8" : first;
    case "role":
    case "session_authorization":
      return first;
  }
}
