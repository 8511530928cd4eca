/** The same server by three roads: directly, through the gateway, and through the gateway over TLS. */
import { expect } from "bun:test";
import { Client } from "pg";
import { type Gateway, type GatewayOptions, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { greeting } from "./transcript.ts";
import { type Address, type Login, type Message, WireClient } from "./wire-client.ts";
import { endInTime } from "../../end-in-time.ts";

/** The token's secret is the password; the server itself asks for none. */
type RoadLogin = Pick<Login, "database" | "password" | "tls">;

/** The roads through the gateway, for test.each. */
export const THROUGH_GATEWAY = ["gateway", "gateway with TLS"] as const;

export type Road = {
  readonly name: "direct" | (typeof THROUGH_GATEWAY)[number];
  readonly address: Address;
  readonly login: RoadLogin;
};

export type RoadsOptions = {
  /** Runs once, before anybody connects. */
  readonly sql?: string;
  /** Runs before each scenario on each road, so that all begin with the same data. */
  readonly reset?: string;
  readonly gateway?: Omit<GatewayOptions, "postgres" | "tls">;
};

export class Roads {
  readonly server: PostgresServer;
  readonly gateways: readonly [plain: Gateway, secure: Gateway];
  readonly all: readonly [direct: Road, plain: Road, secure: Road];
  readonly #admin: Client;
  readonly #reset: string | undefined;

  private constructor(
    server: PostgresServer,
    gateways: Roads["gateways"],
    all: Roads["all"],
    admin: Client,
    reset: string | undefined,
  ) {
    this.server = server;
    this.gateways = gateways;
    this.all = all;
    this.#admin = admin;
    this.#reset = reset;
  }

  static async start(options: RoadsOptions = {}): Promise<Roads> {
    const server = await startPostgres(options.sql === undefined ? {} : { sql: options.sql });
    const [plain, secure] = await Promise.all([
      startGateway({ postgres: server, ...options.gateway }),
      startGateway({ postgres: server, ...options.gateway, tls: "auto" }),
    ]);
    const [plainToken, secureToken] = await Promise.all([plain.token("ann"), secure.token("ann")]);
    const all = [
      { name: "direct", address: server, login: {} },
      { name: "gateway", address: plain, login: { database: "db", password: plainToken } },
      { name: "gateway with TLS", address: secure, login: { database: "db", password: secureToken, tls: "ssl" } },
    ] as const;
    const admin = new Client({ connectionString: server.url() });
    await admin.connect();
    return new Roads(server, [plain, secure], all, admin, options.reset);
  }

  async stop(): Promise<void> {
    await endInTime("the superuser's connection", this.#admin.end());
    for (const gateway of this.gateways) await gateway.stop();
    await this.server.stop();
  }

  /** Runs SQL as the superuser, past the gateway. */
  async admin(sql: string): Promise<void> {
    await this.#admin.query(sql);
  }

  named(name: Road["name"]): Road {
    const road = this.all.find((each) => each.name === name);
    if (road === undefined) throw new Error(`there is no road ${name}`);
    return road;
  }

  /** Brings the data back to where every scenario begins. */
  async reset(): Promise<void> {
    if (this.#reset !== undefined) await this.admin(this.#reset);
  }

  connect(road: Road, login: Omit<Login, keyof RoadLogin> = {}): Promise<WireClient> {
    return WireClient.logIn(road.address, { ...road.login, ...login });
  }

  /**
   * Runs a scenario on every road, each on a new connection with this login, and expects that the client received the
   * same messages in the same order, as `view` shows them; resolves with what it received directly (the login's greeting included).
   */
  async compare(
    scenario: (client: WireClient, road: Road) => Promise<void>,
    login: Omit<Login, keyof RoadLogin> = {},
    view: (received: readonly Message[]) => string[] = greeting,
  ): Promise<string[]> {
    let expected: string[] | null = null;
    for (const road of this.all) {
      await this.reset();
      const client = await this.connect(road, login);
      const problem = await scenario(client, road).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      );
      const seen = view(client.received);
      client.abandon();
      // A difference says more than what it led to.
      if (expected !== null) expect({ road: road.name, seen }).toEqual({ road: road.name, seen: expected });
      if (problem !== null) throw problem;
      expected ??= seen;
    }
    return expected ?? [];
  }
}
