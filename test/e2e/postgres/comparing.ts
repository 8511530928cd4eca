/** Two databases that differ only in masked values behind a gateway whose policy lets some of these be compared, in both modes. */
import { type Gateway, type GatewayOptions, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { policyFiles } from "./policed.ts";
import { type Login, WireClient } from "./wire-client.ts";

export const MODES = ["guarded", "inline"] as const;
export type Mode = (typeof MODES)[number];

/** Whoever is looked for is the same in both; all others have other values in the twin. */
export const KNOWN = "bea@example.com";
const PEOPLE: readonly (readonly [original: string, twin: string])[] = [
  ["ann@example.com", "zoe@example.com"],
  [KNOWN, KNOWN],
  ["cid@example.com", "yan@example.com"],
  ["dan@example.com", "xia@example.com"],
];
/** One that only the original has: to compare it is to guess it. */
export const GUESSED = "ann@example.com";

const SCHEMA = `
CREATE SCHEMA app;
CREATE SCHEMA ext;
CREATE EXTENSION citext WITH SCHEMA ext;
CREATE TYPE app.level AS ENUM ('gold', 'silver', 'none');
CREATE DOMAIN app.mail AS text CHECK (VALUE LIKE '%@%');
CREATE COLLATION app.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE app.customers (id int PRIMARY KEY, email text NOT NULL UNIQUE, name text, phone varchar(30), level app.level,
  balance numeric(10,2), account int8, alias text COLLATE app.nocase, contact app.mail, loose ext.citext, born date, city text, pet text);
CREATE TABLE app.orders (id int PRIMARY KEY, customer_id int REFERENCES app.customers, total int, email text);
CREATE TABLE app.events (id int, email text, kind text) PARTITION BY RANGE (id);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM (0) TO (3);
CREATE TABLE app.events_2 PARTITION OF app.events FOR VALUES FROM (3) TO (100);
CREATE TABLE app.people (id int, email text);
CREATE TABLE app.staff (desk text) INHERITS (app.people);
CREATE VIEW app.contacts AS SELECT id, email, name FROM app.customers;
CREATE FUNCTION app.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR app.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = app.same);
`;

function rowsOf(side: 0 | 1): string {
  return PEOPLE.map((pair, at) => {
    const email = pair[side];
    const digit = email.charCodeAt(0) % 10;
    const level = email === KNOWN ? "silver" : side === 0 ? "gold" : "none";
    return `INSERT INTO app.customers VALUES (${at + 1}, '${email}', 'name of ${email}', '+49 ${email}', '${level}', ${digit}.50, ${digit}000,
        '${email}', '${email}', '${email}', '2000-01-0${digit + 1}', '${at < 2 ? "Ulm" : "Jena"}', 'pet of ${email}');
      INSERT INTO app.orders VALUES (${at + 1}, ${at + 1}, ${(at + 1) * 10}, '${at}@shop.example'), (${at + 11}, ${at + 1}, 5, NULL);
      INSERT INTO app.events VALUES (${at + 1}, '${email}', 'kind ${at}');
      INSERT INTO app.people VALUES (${at + 1}, '${email}');
      INSERT INTO app.staff VALUES (${at + 11}, '${email}', 'desk ${at}');`;
  }).join("\n");
}

const COMPARED = [
  ...["email", "phone", "level", "balance", "account", "alias", "contact", "loose", "born"].map(
    (name) => `customers.${name}`,
  ),
  "events.email",
  "events_1.email",
  "events_2.email",
  "people.email",
  "staff.email",
].map((name) => `app.${name}`);

/** What a set of policies says of columns: `predicates: equality` of most, or what is given instead. */
export function comparingPolicy(predicates = "equality", more = ""): Readonly<Record<string, string>> {
  return policyFiles(
    `  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true`,
    `  - id: compared
    action: { postgres: { columns: [${COMPARED.join(", ")}] } }
    oblige: { mask: [{ with: redact, predicates: ${predicates} }] }
  - id: denied
    action: { postgres: { columns: [app.customers.name] } }
    oblige: { mask: [{ with: redact, predicates: deny }] }
  - id: masked
    action: { postgres: { columns: [app.customers.pet] } }
    oblige: { mask: [{ with: redact }] }
${more}`,
  );
}

export type Side = "original" | "twin";
export const SIDES: readonly Side[] = ["original", "twin"];

export class Comparing {
  readonly server: PostgresServer;
  gateway: Gateway;
  readonly #options: GatewayOptions;
  readonly #tokens = new Map<string, string>();

  private constructor(server: PostgresServer, gateway: Gateway, options: GatewayOptions) {
    this.server = server;
    this.gateway = gateway;
    this.#options = options;
  }

  static async start(more: Partial<GatewayOptions> = {}): Promise<Comparing> {
    const server = await startPostgres();
    server.psql("CREATE ROLE app_owner LOGIN");
    for (const side of SIDES) {
      server.psql(`CREATE DATABASE ${side}`);
      server.psql(
        `${SCHEMA}\n${rowsOf(side === "original" ? 0 : 1)}
        GRANT USAGE ON SCHEMA app, ext TO app_owner; GRANT ALL ON ALL TABLES IN SCHEMA app TO app_owner; ANALYZE`,
        side,
      );
    }
    const searchPath = ["app", "public"];
    const postgres = {
      host: server.host,
      port: server.port,
      database: "original",
      databases: ["twin"],
      user: "app_owner",
      tls: "disable",
    };
    const options: GatewayOptions = {
      targets: {
        guarded: { postgres, masking: { mode: "guarded", user: "weir_governed", searchPath } },
        inline: { postgres, masking: { mode: "inline", searchPath } },
      },
      policyFiles: comparingPolicy(),
      durability: "relaxed",
      env: { PGPASSWORD: "none" },
      ...more,
    };
    const world = new Comparing(server, await startGateway(options), options);
    await world.prepare();
    return world;
  }

  /** As the administrator, in both databases. */
  async prepare(): Promise<void> {
    for (const side of SIDES) {
      const { status, stdout, stderr } = await this.gateway.weir(
        ..."targets prepare guarded --apply --user postgres --database".split(" "),
        side,
      );
      if (status !== 0) throw new Error(`weir targets prepare: ${stdout}${stderr}`);
    }
  }

  /** Ends the gateway and starts it again on the same data; tokens stay good. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.gateway.stop(signal);
    this.gateway = await startGateway(this.#options);
  }

  async connect(mode: Mode, subject: string, side: Side = "original", login: Login = {}): Promise<WireClient> {
    const password = this.#tokens.get(subject) ?? (await this.gateway.token(subject, "agent"));
    this.#tokens.set(subject, password);
    return WireClient.logIn(this.gateway, {
      ...login,
      database: side === "original" ? mode : `${mode}.twin`,
      password,
    });
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.server.stop();
  }
}
