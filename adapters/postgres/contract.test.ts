/** The Postgres adapter under the suite that every adapter runs, in front of a real server. */
import { Client } from "pg";
import { describeAdapter } from "../../test/adapter-contract.ts";
import type { Answer, ContractTarget, RefusedLogin, Thing } from "../../test/contract/harness.ts";
import { errorIn, rows } from "../../test/e2e/postgres/transcript.ts";
import { type Message, WireClient, WireClosed } from "../../test/e2e/postgres/wire-client.ts";
import { startPostgres } from "../../test/servers/postgres.ts";
import { startTap } from "../../test/servers/tap.ts";
import { encodeQuery } from "./protocol/frontend.ts";
import { endInTime } from "../../test/end-in-time.ts";

const PASSWORD = "contract-credential-of-the-target";

const STATEMENTS: Readonly<Record<Thing, (mark: string) => string>> = {
  permitted: (mark) => `SELECT '${mark}' FROM contract_open`,
  held: (mark) => `SELECT '${mark}' FROM contract_held`,
  denied: (mark) => `SELECT '${mark}' FROM contract_closed`,
  unlisted: (mark) => `SELECT '${mark}' FROM contract_unlisted`,
  opaque: (mark) => `DO $$ BEGIN PERFORM '${mark}'; END $$`,
};

function selectFrom(table: string): string {
  return `{ postgres: { verbs: [select], relations: [public.${table}] } }`;
}

describeAdapter({
  adapter: "postgres",
  actions: {
    permitted: selectFrom("contract_open"),
    held: selectFrom("contract_held"),
    denied: `{ postgres: { relations: [public.contract_closed] } }`,
  },
  codes: {
    denied: "42501",
    not_understood: "42501",
    login: "28P01",
    "no target": "28P01",
    "ended login": "28000",
    limit: "53400",
    audit_unavailable: "58030",
    target_unavailable: "08001",
    draining: "57P01",
  },
  listen: { port: 0, tls: "off" },
  startTarget,
  portOf: (gateway) => gateway.port,
  connect: async (gateway, target, secret) => {
    const client = await WireClient.open(gateway).catch(() => null);
    if (client === null) return { code: null, text: "nobody listens" };
    client.sendStartup({ user: "weir", database: target });
    const isIn = await client.finishLogin(secret).then(
      () => true,
      (error: unknown) => {
        if (error instanceof WireClosed) return false;
        throw error;
      },
    );
    if (!isIn) return refusedLogin(client);
    return {
      ask: async (thing, mark) => {
        client.send(encodeQuery(STATEMENTS[thing](mark)));
        const messages = await client.ready().catch((error: unknown) => {
          if (error instanceof WireClosed) return client.received;
          throw error;
        });
        return answerOf(messages);
      },
      ended: ended(client),
      close: () => client.terminate(),
    };
  },
});

async function startTarget(): Promise<ContractTarget> {
  const tables = Object.keys(STATEMENTS).map((thing) => ({ permitted: "open", denied: "closed" })[thing] ?? thing);
  const server = await startPostgres({
    hba: ["host all all 127.0.0.1/32 scram-sha-256"],
    sql: `ALTER ROLE postgres PASSWORD '${PASSWORD}';
      ${tables.map((name) => `CREATE TABLE contract_${name} AS SELECT 1 AS a;`).join("\n")}`,
  });
  const tap = await startTap(server.port);
  let holder: Client | null = null;
  const letGo = async (): Promise<void> => {
    await endInTime("the holder of the lock", holder?.end() ?? Promise.resolve());
    holder = null;
  };
  return {
    settings: {
      postgres: {
        host: tap.host,
        port: tap.port,
        database: "postgres",
        user: "postgres",
        password: PASSWORD,
        tls: "disable",
      },
    },
    credential: PASSWORD,
    saw: (mark) => tap.saw(mark),
    hold: async () => {
      holder = new Client({
        host: server.host,
        port: server.port,
        user: "postgres",
        password: PASSWORD,
        database: "postgres",
      });
      await holder.connect();
      await holder.query("BEGIN; LOCK TABLE contract_held");
    },
    letGo,
    untilHeld: async (count) => {
      const held = "SELECT count(*) FROM pg_locks WHERE relation = 'contract_held'::regclass AND NOT granted";
      while (server.psql(held) !== `${count}`) await Bun.sleep(10);
    },
    vanish: () => tap.vanish(),
    comeBack: () => tap.comeBack(),
    stop: async () => {
      await letGo();
      await tap.stop();
      await server.stop();
    },
  };
}

async function refusedLogin(client: WireClient): Promise<RefusedLogin> {
  await client.end();
  const error = errorIn(client.received);
  return { code: error?.get("C") ?? null, text: words(error) };
}

async function ended(client: WireClient): Promise<{ code: string; text: string } | null> {
  await client.whenEnded;
  const error = errorIn(client.received.filter((message) => isFatal(message)));
  return error === undefined ? null : { code: error.get("C") ?? "", text: words(error) };
}

function isFatal(message: Message): boolean {
  return errorIn([message])?.get("V") === "FATAL";
}

function answerOf(messages: readonly Message[]): Answer {
  const error = errorIn(messages.toReversed());
  if (error !== undefined) return { kind: "refused", code: error.get("C") ?? "", text: words(error) };
  return { kind: "answered", value: rows(messages)[0]?.[0] ?? "" };
}

function words(error: ReadonlyMap<string, string> | undefined): string {
  return ["M", "D", "H"].map((field) => error?.get(field) ?? "").join("\n");
}
