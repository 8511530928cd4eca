/** The databases behind the targets: where they are, how the gateway logs in, and what it knows of their catalogs. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Clock, Door, OpenSession, Permit, Upstream } from "../../src/core/ports.ts";
import type { Target } from "../../src/core/target.ts";
import { Analyser } from "./analyser.ts";
import { CatalogKeeper, type CatalogConnection } from "./catalog-keeper.ts";
import type { Catalog } from "./catalog.ts";
import { HouseConnection } from "./query.ts";
import { endpointOf, type PostgresSettings } from "./settings.ts";
import { cancelRequest, logIn, type LoggedIn } from "./upstream.ts";

/** How often a catalog in use is looked at for changes that came from elsewhere. */
const CATALOG_POLL_MS = 5_000;

/** From the first byte to the server's first ReadyForQuery. */
const LOGIN_TIME_MS_MAX = 15_000;

/** Pinned in the startup packet of the gateway's own connections, where no setting of the role can undo it. */
const HOUSE_PARAMETERS = [
  ["application_name", "weir"],
  ["client_encoding", "UTF8"],
  ["search_path", ""],
] as const;

/** One database of a target: what all sessions with it share. */
export class TargetDatabase {
  /** As the server knows it. */
  readonly name: string;
  readonly analyser: Analyser;
  readonly #keeper: CatalogKeeper;
  readonly #door: Door;
  readonly #target: Target;
  readonly #settings: PostgresSettings;

  constructor(
    door: Door,
    target: Target,
    settings: PostgresSettings,
    name: string,
    clock: Clock,
    statementBytesMax: number,
  ) {
    this.#door = door;
    this.#target = target;
    this.#settings = settings;
    this.name = name;
    this.analyser = new Analyser({ statementBytesMax });
    this.#keeper = new CatalogKeeper({ open: () => this.#openCatalog(), clock });
  }

  /** Null while it is not known: names are unknown then. */
  get catalog(): Catalog | null {
    return this.#keeper.current;
  }

  /** A session begins to use it; its catalog is kept current from now on. */
  acquire(): void {
    this.#keeper.start(CATALOG_POLL_MS);
    this.#keeper.acquire();
  }

  release(): void {
    this.#keeper.release();
  }

  /** Resolves when all that was committed before the call is seen, or cannot be: then names are unknown. */
  async refreshCatalog(): Promise<void> {
    await this.#keeper.refresh().catch(() => null);
  }

  stop(): void {
    this.#keeper.stop();
  }

  /** Opens a connection of the session's own and logs in with the client's startup parameters. */
  async logIn(
    opened: OpenSession,
    parameters: readonly (readonly [string, string])[],
    protocolMinor: 0 | 2,
  ): Promise<{ upstream: Upstream; login: LoggedIn } | Refusal> {
    const upstream = await this.#door.dial(opened.session, "session", endpointOf(this.#settings));
    if (isRefusal(upstream)) return upstream;
    return this.#logInOn(upstream, opened, parameters, protocolMinor);
  }

  /** Sends a CancelRequest for a backend on a connection of its own. */
  async cancel(opened: OpenSession, permit: Permit, login: LoggedIn): Promise<void> {
    if (login.key === null) return;
    const upstream = await this.#door.dial(opened.session, "cancel", endpointOf(this.#settings));
    if (isRefusal(upstream)) return;
    await cancelRequest(
      upstream,
      permit,
      { ...this.#settings, loginTimeMs: LOGIN_TIME_MS_MAX },
      login.key.processId,
      login.key.secret,
    );
  }

  async #openCatalog(): Promise<CatalogConnection> {
    const opened = await this.#door.openHouse(this.#target.name, `catalog of ${this.name}`);
    if (isRefusal(opened)) throw new Error(opened.message);
    const answer = await this.#openHouseConnection(opened);
    if (isRefusal(answer)) {
      this.#door.close(opened.session, { status: "failed" });
      throw new Error(`${answer.message}: ${answer.detail}`);
    }
    return {
      query: (sql) => answer.query(opened.permit, sql),
      close: () => {
        answer.close(opened.permit);
        this.#door.close(opened.session, { status: "done" });
      },
    };
  }

  async #openHouseConnection(opened: OpenSession): Promise<HouseConnection | Refusal> {
    const upstream = await this.#door.dial(opened.session, "catalog", endpointOf(this.#settings));
    if (isRefusal(upstream)) return upstream;
    const answer = await this.#logInOn(upstream, opened, HOUSE_PARAMETERS, 0);
    return isRefusal(answer) ? answer : new HouseConnection(upstream, answer.login);
  }

  async #logInOn(
    upstream: Upstream,
    opened: OpenSession,
    parameters: readonly (readonly [string, string])[],
    protocolMinor: 0 | 2,
  ): Promise<{ upstream: Upstream; login: LoggedIn } | Refusal> {
    const login = await logIn(
      upstream,
      opened.permit,
      { ...this.#settings, database: this.name, loginTimeMs: LOGIN_TIME_MS_MAX },
      parameters,
      protocolMinor,
    );
    if (login.kind === "loggedIn") return { upstream, login };
    upstream.close();
    return refusal("target_unavailable", `the target "${this.#target.name}" does not let the gateway in`, {
      event: opened.session.id,
      hint: "The gateway's operator finds the reason under this id.",
      detail: login.detail,
    });
  }
}

/** All databases that sessions have asked for, each made once. */
export class Databases {
  readonly #door: Door;
  readonly #clock: Clock;
  readonly #statementBytesMax: number;
  readonly #byName = new Map<string, TargetDatabase>();

  constructor(door: Door, clock: Clock, statementBytesMax: number) {
    this.#door = door;
    this.#clock = clock;
    this.#statementBytesMax = statementBytesMax;
  }

  get(target: Target, database: string): TargetDatabase {
    const key = `${target.name}\n${database}`;
    let known = this.#byName.get(key);
    if (known === undefined) {
      known = new TargetDatabase(
        this.#door,
        target,
        settingsOf(target),
        database,
        this.#clock,
        this.#statementBytesMax,
      );
      this.#byName.set(key, known);
    }
    return known;
  }

  stop(): void {
    for (const database of this.#byName.values()) database.stop();
    this.#byName.clear();
  }
}

/** The adapter's own part of the configuration: it was validated with `postgresTargetSchema` when it was loaded. */
export function settingsOf(target: Target): PostgresSettings {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `core` keeps every adapter's settings as unknown
  return target.settings as PostgresSettings;
}

/**
 * `TARGET` or `TARGET.DATABASE`, as a client names it. Null: the target does not list this database.
 * Target names hold no dot.
 */
export function databaseNameOf(settings: PostgresSettings, asked: string | null): string | null {
  if (asked === null || asked === settings.database) return settings.database;
  return settings.databases.includes(asked) || settings.databases.includes("*") ? asked : null;
}
