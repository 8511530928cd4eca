/** The databases behind the targets: where they are, how the gateway logs in, and what it knows of their catalogs. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Clock, Door, OpenSession, Permit, Upstream } from "../../src/core/ports.ts";
import type { SessionId } from "../../src/core/session.ts";
import type { Target } from "../../src/core/target.ts";
import { Analyser } from "./analyser.ts";
import { CatalogKeeper, type CatalogConnection } from "./catalog-keeper.ts";
import type { CatalogPicture } from "./catalog-picture.ts";
import type { RawConnection } from "./evidence/raw-reader.ts";
import { FactKeeper } from "./mask/fact-keeper.ts";
import type { MaskFacts } from "./mask/facts.ts";
import type { MaskingPlan } from "./mask/plan.ts";
import { PreparedState } from "./mask/prepared-state.ts";
import { governedStartup } from "./mask/startup-settings.ts";
import { TargetMasks } from "./mask/target-masks.ts";
import type { MaskingSettings } from "./masking-settings.ts";
import { HOUSE_LIMITS, HouseConnection } from "./query.ts";
import type { Governed } from "./reading.ts";
import { endpointOf, type PostgresSettings } from "./settings.ts";
import type { StartupParameter } from "./protocol/startup.ts";
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

/** Further ones of the connections that read raw rows: no policy of a row runs a function there, nothing is written, nothing waits long. */
const RAW_QUERY_TIME_MS = 10_000;
const RAW_PARAMETERS = [
  ...HOUSE_PARAMETERS,
  ["row_security", "off"],
  ["default_transaction_read_only", "on"],
  ["default_transaction_isolation", "read committed"],
  ["statement_timeout", String(RAW_QUERY_TIME_MS)],
  ["datestyle", "ISO, MDY"],
  ["intervalstyle", "postgres"],
  ["bytea_output", "hex"],
] as const;
const RAW_LIMITS = { answerBytesMax: 16 * 1024 * 1024, queryTimeMs: RAW_QUERY_TIME_MS } as const;

/** A target without a section for it: the weaker mode, and nothing of its own that is safe. */
const UNCONFIGURED_MASKING = { mode: "inline", safeFunctions: [], listenChannels: [], searchPath: null } as const;

/**
 * What the server says of a setting in the startup packet: undefined_object when it does not know it,
 * invalid_parameter_value when it does not take the value. https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const WRONG_SETTING: ReadonlySet<string> = new Set(["42704", "22023"]);

/** A login that the target refused; with the server's SQLSTATE where the client's own settings are the reason. */
export type RefusedLogin = Refusal & { readonly sqlState?: string };

/** One database of a target: what all sessions with it share. */
export class TargetDatabase {
  /** As the server knows it. */
  readonly name: string;
  readonly analyser: Analyser;
  /** What is masked for whom. */
  readonly masks: TargetMasks;
  readonly #keeper: CatalogKeeper;
  readonly #facts: FactKeeper;
  /** How often sessions have committed what may have changed the catalog, and how many of these it was loaded after. */
  #changes = 0;
  #changesSeen = 0;
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
    this.#facts = new FactKeeper({ open: () => this.#openCatalog(), keeper: this.#keeper });
    const { masking } = settings;
    this.masks = new TargetMasks({
      door,
      database: name,
      settings: masking ?? UNCONFIGURED_MASKING,
      facts: () => this.maskFacts(),
      prepared: masking === null ? null : this.#preparedState(masking, clock),
    });
  }

  #preparedState(masking: MaskingSettings, clock: Clock): PreparedState | null {
    const { mode, user } = masking;
    if (mode !== "guarded") return null;
    if (user === null) throw new Error("a guarded target has a login for governed sessions");
    return new PreparedState({
      target: this.#target.name,
      database: this.name,
      settings: { ...masking, mode, user },
      clock,
      generation: () => this.#keeper.generation,
      report: (line) => this.#door.report(line),
      ask: async (work) => {
        const connection = await this.#openCatalog();
        try {
          return await work((sql) => connection.query(sql));
        } finally {
          connection.close();
        }
      },
    });
  }

  /** Null while it is not known: names are unknown then. */
  get catalog(): CatalogPicture | null {
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

  /** A session has committed what may have changed the catalog. */
  changed(): void {
    this.#changes++;
  }

  /** A session's change is not in the catalog yet. What was changed past the gateway is found out by looking every few seconds. */
  get isBehind(): boolean {
    return this.#changesSeen !== this.#changes;
  }

  /** Resolves when the catalog shows what was changed before the call; rejects when it cannot be loaded. */
  async catchUp(): Promise<void> {
    const changes = this.#changes;
    await this.#keeper.refresh();
    this.#changesSeen = Math.max(this.#changesSeen, changes);
  }

  /** Resolves when all that was committed before the call is seen, or cannot be: then names are unknown. */
  async refreshCatalog(): Promise<void> {
    await this.#keeper.refresh().catch(() => null);
  }

  /** The catalog with all that was committed before the call. Rejects when it cannot be loaded. */
  loadCatalog(): Promise<CatalogPicture> {
    return this.#keeper.refresh();
  }

  /** What masks need of the catalog as it is known now; loaded when it is another than last time. Rejects when it cannot be. */
  maskFacts(): Promise<MaskFacts> {
    return this.#facts.get();
  }

  stop(): void {
    this.#keeper.stop();
  }

  /** How texts of a governed session are read. */
  governedBy(plan: MaskingPlan): Governed {
    return { plan, schemasOf: plan.mode === "guarded" ? this.#settings.user : null };
  }

  /**
   * Opens a connection of the session's own and logs in with the client's startup parameters; with a plan, as a
   * governed session, whose settings are pinned and which in guarded mode has a login of its own.
   */
  async logIn(
    opened: OpenSession,
    parameters: readonly StartupParameter[],
    protocolMinor: 0 | 2,
    plan: MaskingPlan | null,
  ): Promise<{ upstream: Upstream; login: LoggedIn } | RefusedLogin> {
    const { masking } = this.#settings;
    const pinned = plan === null ? parameters : governedStartup(parameters, masking?.searchPath ?? null);
    if (isRefusal(pinned)) return { ...pinned, event: opened.session.id };
    const upstream = await this.#door.dial(opened.session, "session", endpointOf(this.#settings));
    if (isRefusal(upstream)) return upstream;
    const user = plan?.mode === "guarded" ? masking?.user : null;
    if (user === undefined) throw new Error("a guarded target has a login for governed sessions");
    const login = user === null ? {} : { user, password: masking?.password ?? null };
    return this.#logInOn(upstream, opened, pinned, protocolMinor, login);
  }

  /** A connection of the gateway's own, with an empty search_path. Rejects when it cannot be had. */
  openConnection(): Promise<CatalogConnection> {
    return this.#openCatalog();
  }

  /** A connection that reads raw rows for what is sealed of a client's session. Rejects when it cannot be had. */
  async openRaw(session: SessionId): Promise<RawConnection> {
    const opened = await this.#openHouse(`raw rows in ${this.name} for the recording of session ${session}`);
    const connection = await this.#openHouseConnection(opened, "raw");
    return {
      get isUsable() {
        return connection.isUsable;
      },
      query: (sql) => connection.query(opened.permit, sql),
      ask: (messages) => connection.ask(opened.permit, messages),
      close: () => this.#closeHouse(opened, connection),
    };
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
    const opened = await this.#openHouse(`catalog of ${this.name}`);
    const connection = await this.#openHouseConnection(opened, "catalog");
    return {
      query: (sql) => connection.query(opened.permit, sql),
      close: () => this.#closeHouse(opened, connection),
    };
  }

  async #openHouse(text: string): Promise<OpenSession> {
    const opened = await this.#door.openHouse(this.#target.name, text);
    if (isRefusal(opened)) throw new Error(opened.message);
    return opened;
  }

  #closeHouse(opened: OpenSession, connection: HouseConnection): void {
    connection.close(opened.permit);
    this.#door.close(opened.session, { status: "done" });
  }

  async #openHouseConnection(opened: OpenSession, purpose: "catalog" | "raw"): Promise<HouseConnection> {
    const answer = await this.#logInHouse(opened, purpose);
    if (!isRefusal(answer)) return answer;
    this.#door.close(opened.session, { status: "failed" });
    throw new Error(`${answer.message}: ${answer.detail}`);
  }

  async #logInHouse(opened: OpenSession, purpose: "catalog" | "raw"): Promise<HouseConnection | Refusal> {
    const upstream = await this.#door.dial(opened.session, purpose, endpointOf(this.#settings));
    if (isRefusal(upstream)) return upstream;
    const isRaw = purpose === "raw";
    const answer = await this.#logInOn(upstream, opened, isRaw ? RAW_PARAMETERS : HOUSE_PARAMETERS, 0);
    return isRefusal(answer) ? answer : new HouseConnection(upstream, answer.login, isRaw ? RAW_LIMITS : HOUSE_LIMITS);
  }

  async #logInOn(
    upstream: Upstream,
    opened: OpenSession,
    parameters: readonly StartupParameter[],
    protocolMinor: 0 | 2,
    role: Partial<Pick<PostgresSettings, "user" | "password">> = {},
  ): Promise<{ upstream: Upstream; login: LoggedIn } | RefusedLogin> {
    const login = await logIn(
      upstream,
      opened.permit,
      { ...this.#settings, ...role, database: this.name, loginTimeMs: LOGIN_TIME_MS_MAX },
      parameters,
      protocolMinor,
    );
    if (login.kind === "loggedIn") return { upstream, login };
    upstream.close();
    const event = opened.session.id;
    if (login.code !== null && WRONG_SETTING.has(login.code)) {
      const no = refusal(
        "target_unavailable",
        `the target "${this.#target.name}" does not take a setting of this login`,
        {
          event,
          hint: "Look at the connection's options and startup parameters; the gateway's operator finds which one under this id.",
          detail: login.detail,
        },
      );
      return { ...no, sqlState: login.code };
    }
    return refusal("target_unavailable", `the target "${this.#target.name}" does not let the gateway in`, {
      event,
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
