/** The ways an entry of the corpus reaches its database: straight to the server, or through a gateway that masks. */
import { type Gateway, startGateway } from "../gateway.ts";
import { corpusMasks, newerMasks } from "./corpus.ts";
import { CorpusServer, type Side } from "./databases.ts";
import type { Stage } from "./player.ts";

/** plain: nothing is masked. */
export type Mode = "plain" | "inline" | "guarded";
export type Role = "gw_agent" | "gw_super";

export type Road = {
  readonly name: string;
  readonly server: CorpusServer;
  /** Null: straight to the server. */
  readonly gateway: Gateway | null;
  stage(database: string, role: Role): Stage;
  stop(): Promise<void>;
};

/** The administrator who prepares the database needs no password; one must be given all the same. */
const PASSWORDS = { GOVERNED_PASSWORD: "governed", PGPASSWORD: "none" } as const;
const GOVERNED = { user: "weir_governed", password: { env: "GOVERNED_PASSWORD" } } as const;
const OWN_PORT = "54399";

/** What the corpus has written for the machine it was made on. */
function adapted(server: CorpusServer): (sql: string) => string {
  const { port, dataDir } = server.postgres;
  return (sql) => sql.replaceAll(OWN_PORT, `${port}`).replaceAll("/tmp/", `${dataDir}/`);
}

/** `isNewer`: with what servers newer than 15 have besides. */
export async function directRoad(isNewer = false): Promise<Road> {
  const server = await CorpusServer.start({ isNewer });
  return {
    name: "direct",
    server,
    gateway: null,
    stage: (database, role) => ({
      address: server.postgres,
      login: { user: role, database },
      database,
      ask: (sql) => server.superuser(database, sql),
      adapt: adapted(server),
    }),
    stop: () => server.stop(),
  };
}

export type PolicyOptions = {
  /** Further rules of permits, as YAML list items. */
  readonly permits?: string;
  /** Relations' columns, as `app.customers.notes`, that are shown as NULL; all others are redacted. */
  readonly nulls?: readonly string[];
  /** Columns, as `app.customers.ssn`, that policy lets be compared. */
  readonly compared?: readonly string[];
  /** With what servers newer than 15 have besides. */
  readonly isNewer?: boolean;
};

/** A gateway with a target for each role that it logs in as. */
export async function gatewayRoad(mode: Mode, options: PolicyOptions = {}): Promise<Road> {
  let gateway: Gateway | null = null;
  const server = await CorpusServer.start({
    isNewer: options.isNewer === true,
    prepare: async (postgres, database) => {
      const { searchPath, safeFunctions, allowedListenChannels } = corpusMasks();
      const settings = { mode, searchPath, safeFunctions, listenChannels: allowedListenChannels };
      const target = (user: Role): object => ({
        postgres: {
          host: postgres.host,
          port: postgres.port,
          database,
          databases: ["*"],
          user,
          tls: "disable",
        },
        ...(mode === "plain" ? {} : { masking: mode === "guarded" ? { ...settings, ...GOVERNED } : settings }),
      });
      gateway = await startGateway({
        targets: { agent: target("gw_agent"), super: target("gw_super") },
        policyFiles: policyFiles(mode, options),
        env: PASSWORDS,
        durability: "relaxed",
      });
      if (mode === "guarded") await prepareTarget(gateway, "agent");
    },
  });
  // The hook has run, or starting has failed.
  const started: Gateway = gateway ?? failed();
  const password = await started.token("bot", "agent");
  return {
    name: mode,
    server,
    gateway: started,
    stage: (database, role) => ({
      address: started,
      login: { database: `${role === "gw_super" ? "super" : "agent"}.${database}`, password },
      database,
      ask: (sql) => server.superuser(database, sql),
      adapt: adapted(server),
    }),
    stop: async () => {
      await started.stop();
      await server.stop();
    },
  };
}

function failed(): never {
  throw new Error("the gateway was not started");
}

/** What `weir targets prepare --apply` does, with the superuser's login for that run. */
async function prepareTarget(gateway: Gateway, target: string): Promise<void> {
  const { status, stdout, stderr } = await gateway.weir("targets", "prepare", target, "--apply", "--user", "postgres");
  if (status !== 0) throw new Error(`weir targets prepare: ${stdout}${stderr}`);
}

/** Everything is permitted, whatever it calls and whether it can be read or not; but what masked.json names is masked. */
function policyFiles(
  mode: Mode,
  { permits = "", nulls = [], compared = [], isNewer = false }: PolicyOptions,
): Readonly<Record<string, string>> {
  const head = (kind: string): string => `apiVersion: weir.dev/v1\nkind: ${kind}\n`;
  const files = {
    "policy.yaml": `${head("PolicySet")}name: masking\n`,
    "permits/all.yaml": `${head("Permits")}rules:
  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true
${permits}`,
  };
  if (mode === "plain") return files;
  const masked = { ...corpusMasks().masked, ...(isNewer ? newerMasks() : {}) };
  const columns = Object.entries(masked).flatMap(([relation, names]) =>
    names.map((name) => `${relation}.${name}`).filter((name) => !compared.includes(name)),
  );
  const comparing = `  - id: secrets-compared
    action: { postgres: { columns: [${compared.join(", ")}] } }
    oblige: { mask: [{ with: redact, predicates: equality }] }
`;
  const others = nulls.length === 0 ? "" : `, { columns: [${nulls.join(", ")}], with: "null" }`;
  const masks = `${head("Guards")}rules:
  - id: secrets-masked
    action: { postgres: { columns: [${columns.join(", ")}] } }
    oblige: { mask: [{ with: redact }${others}] }
${compared.length === 0 ? "" : comparing}`;
  return { ...files, "guards/masks.yaml": masks };
}

/** One database of a road and its twin, or one of them alone, made anew when something has changed on the server. */
export class Pair<S extends Side = Side> {
  readonly #server: CorpusServer;
  readonly #sides: readonly S[];
  #names: Readonly<Record<S, string>> | null = null;
  #changes = "";

  private constructor(server: CorpusServer, sides: readonly S[]) {
    this.#server = server;
    this.#sides = sides;
  }

  static both(server: CorpusServer): Pair {
    return new Pair(server, ["original", "twin"]);
  }

  static original(server: CorpusServer): Pair<"original"> {
    return new Pair(server, ["original"]);
  }

  /** Databases as schema.sql and schema-twin.sql made them. */
  async fresh(): Promise<Readonly<Record<S, string>>> {
    const old = this.#names;
    if (old !== null && (await this.#server.changes()) === this.#changes) return old;
    if (old !== null) for (const side of this.#sides) await this.#server.drop(old[side]);
    const copies: [S, string][] = [];
    for (const side of this.#sides) copies.push([side, await this.#server.copy(side)]);
    const names = Object.fromEntries(copies) as Record<S, string>;
    this.#changes = await this.#server.changes();
    this.#names = names;
    return names;
  }
}
