/** One database of a target in guarded mode, as its administrator's tools see it: script, removal, self-check. */
import type { Clock, Door } from "../../../src/core/ports.ts";
import type { Target } from "../../../src/core/target.ts";
import { messageOf } from "../../../src/core/message-of.ts";
import type { CatalogConnection } from "../catalog-keeper.ts";
import { TargetDatabase, settingsOf } from "../databases.ts";
import type { MaskingSettings } from "../masking-settings.ts";
import { HouseQueryError } from "../query.ts";
import { scramVerifier } from "../scram.ts";
import type { CheckLine } from "./check-line.ts";
import { expectedIn, type Expected, type GuardedSettings, type PossibleMasks } from "./expected.ts";
import { readRights, type Query } from "./rights.ts";
import { prepareScript, removeScript } from "./script.ts";
import { selfCheck } from "./self-check.ts";

/** The schema is read again when it was changed meanwhile. */
const ATTEMPTS_MAX = 10;

/** The login of a person, for one run: it is kept nowhere. */
export type Administrator = { readonly user: string; readonly password: string | null };

/** The administrator's script failed, and changed nothing; the message is for people. */
export class ScriptFailed extends Error {
  readonly code = "SCRIPT_FAILED";
  /** What the server advises; may be empty. */
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** Null: the target is not in guarded mode. */
export function guardedSettings(masking: MaskingSettings | null): GuardedSettings | null {
  if (masking === null || masking.mode !== "guarded" || masking.user === null) return null;
  return { ...masking, mode: masking.mode, user: masking.user };
}

/** Close it at the end. */
export class GuardedDatabase {
  readonly #door: Door;
  readonly #clock: Clock;
  readonly #target: Target;
  readonly #database: string;
  readonly #settings: GuardedSettings;
  readonly #connections: CatalogConnection[] = [];
  #known: TargetDatabase | null = null;

  constructor(door: Door, clock: Clock, target: Target, database: string, settings: GuardedSettings) {
    this.#door = door;
    this.#clock = clock;
    this.#target = target;
    this.#database = database;
    this.#settings = settings;
  }

  /** What policy wants of the database as it is now. Rejects when it cannot be reached or read. */
  async expected(possible: PossibleMasks): Promise<Expected> {
    const database = (this.#known ??= this.#open(this.#target));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const facts = await database.maskFacts();
      const { catalog } = database;
      if (catalog === null || catalog.digest !== facts.catalogDigest) continue;
      return expectedIn(facts, catalog, this.#database, possible, this.#settings);
    }
    throw new Error("the database's schema changes faster than it can be read");
  }

  /** `withPassword`: sets the login's password too, as a verifier. */
  async prepareScript(expected: Expected, { withPassword }: { readonly withPassword: boolean }): Promise<string> {
    const { password, safeFunctions } = this.#settings;
    const verifier = withPassword && password !== null ? await scramVerifier(password) : null;
    return prepareScript(expected, await readRights(await this.#query(), safeFunctions), verifier);
  }

  removeScript(): string {
    return removeScript({ user: this.#settings.user, database: this.#database });
  }

  async check(expected: Expected): Promise<readonly CheckLine[]> {
    return selfCheck(await this.#query(), expected);
  }

  /** Runs a script with the rights of a person. Rejects with ScriptFailed, or when the login is refused. */
  async run(script: string, administrator: Administrator): Promise<void> {
    const settings = { ...settingsOf(this.#target), ...administrator };
    const connection = await this.#open({ ...this.#target, settings }).openConnection();
    try {
      await connection.query(script);
    } catch (error) {
      if (error instanceof HouseQueryError) throw new ScriptFailed(error.message, error.hint);
      const reason = messageOf(error);
      throw new Error(`${reason}: whether the script was run is not known, see weir targets check`, { cause: error });
    } finally {
      connection.close();
    }
  }

  close(): void {
    for (const connection of this.#connections.splice(0)) connection.close();
    this.#known?.stop();
  }

  #open(target: Target): TargetDatabase {
    return new TargetDatabase(this.#door, target, settingsOf(target), this.#database, this.#clock, 0);
  }

  async #query(): Promise<Query> {
    this.#known ??= this.#open(this.#target);
    const connection = await this.#known.openConnection();
    this.#connections.push(connection);
    return (sql) => connection.query(sql);
  }
}
