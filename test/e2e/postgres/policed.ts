/** A server behind a gateway with a policy, and what a client is told when that policy says no. */
import { expect } from "bun:test";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresOptions, type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { errorIn, rows } from "./transcript.ts";
import { type Login, type Message, WireClient } from "./wire-client.ts";
import { encodeQuery } from "../../../adapters/postgres/protocol/frontend.ts";

export type Policed = {
  readonly server: PostgresServer;
  readonly gateway: Gateway;
  /** Logs in as a subject through the gateway. */
  connect(subject?: string, login?: Omit<Login, "password" | "database">): Promise<WireClient>;
  /** Logs in past the gateway. */
  connectDirectly(): Promise<WireClient>;
  stop(): Promise<void>;
};

/** Files of a policy set from the rules of its permits and guards, as YAML list items. */
export function policyFiles(permits: string, guards = ""): Readonly<Record<string, string>> {
  const file = (kind: string, rules: string): string => `apiVersion: weir.dev/v1\nkind: ${kind}\nrules:\n${rules}\n`;
  return {
    "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n",
    "permits/test.yaml": file("Permits", permits),
    ...(guards === "" ? {} : { "guards/test.yaml": file("Guards", guards) }),
  };
}

export async function startPoliced(
  sql: string,
  files: Readonly<Record<string, string>>,
  more: Pick<PostgresOptions, "settings"> = {},
): Promise<Policed> {
  const server = await startPostgres({ sql, ...more });
  const gateway = await startGateway({ postgres: server, policyFiles: files });
  const tokens = new Map<string, string>();
  return {
    server,
    gateway,
    connect: async (subject = "ann", login = {}) => {
      const password = tokens.get(subject) ?? (await gateway.token(subject));
      tokens.set(subject, password);
      return WireClient.logIn(gateway, { ...login, database: "db", password });
    },
    connectDirectly: () => WireClient.logIn(server),
    stop: async () => {
      await gateway.stop();
      await server.stop();
    },
  };
}

/** The answer holds exactly one error, a refusal of the gateway's; answers with its fields. */
export function expectRefusal(
  messages: readonly Message[],
  rule: string | null,
  code = "42501",
): ReadonlyMap<string, string> {
  expect(messages.filter(({ type }) => type === "E")).toHaveLength(1);
  const error = errorIn(messages) ?? new Map<string, string>();
  expect({ code: error.get("C"), severity: error.get("S"), nonLocalized: error.get("V") }).toEqual({
    code,
    severity: "ERROR",
    nonLocalized: "ERROR",
  });
  expect(error.get("M")).toMatch(/ \(id [^ ]+\)$/u);
  if (rule === null) expect(error.get("D")).toBeUndefined();
  else expect(error.get("D")).toContain(rule);
  return error;
}

/** Runs one simple query and answers with its rows; throws when it is not done. */
export async function rowsOf(client: WireClient, sql: string): Promise<(string | null)[][]> {
  const messages = await client.ask(encodeQuery(sql));
  const error = errorIn(messages);
  if (error !== undefined) throw new Error(`${sql}: ${error.get("C")} ${error.get("M")}`);
  return rows(messages);
}
