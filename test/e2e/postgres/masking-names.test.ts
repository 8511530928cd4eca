/**
 * A name that comes to mean a masked relation: the server looks up the names of what it keeps again, and what was
 * prepared or bound while they meant another relation shows nothing of that one.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { encodeExecute, encodeParse, encodeQuery, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { corpusSchema } from "../../corpus/masking.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { bind, runNamed } from "./messages.ts";
import { policyFiles, rowsOf } from "./policed.ts";
import { errorIn, rows, transcript } from "./transcript.ts";
import { type Message, WireClient } from "./wire-client.ts";

setDefaultTimeout(240_000);

const SYNC = encodeSync();
const MODES = ["guarded", "inline"] as const;
type Mode = (typeof MODES)[number];
const EMAIL = "SELECT email FROM customers";
const COPY = "COPY customers (email) TO STDOUT";
const PERMITS = `  - { id: everything, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true }`;
const MASKS = `  - id: masks
    subject: { kinds: [agent] }
    action: { postgres: { columns: [app.customers.email, app.customers_vip.email] } }
    oblige: { mask: [{ with: redact }] }`;
/** It stands before app.customers in the path. */
const OTHER = "CREATE TABLE public.customers AS SELECT 'open' AS email";

let server: PostgresServer;
let gateway: Gateway;
let bot: string;
let owner: string;

beforeAll(async () => {
  server = await startPostgres();
  server.psql("CREATE DATABASE corpus");
  server.psql(
    `${corpusSchema()}\nALTER ROLE app_owner LOGIN; GRANT CREATE ON SCHEMA public TO app_owner; SET ROLE app_owner; ${OTHER}`,
    "corpus",
  );
  const postgres = { host: server.host, port: server.port, database: "corpus", user: "app_owner" };
  const searchPath = ["public", "app"];
  gateway = await startGateway({
    targets: {
      guarded: { postgres, masking: { mode: "guarded", user: "weir_governed", searchPath } },
      inline: { postgres, masking: { mode: "inline", searchPath } },
    },
    policyFiles: policyFiles(PERMITS, MASKS),
    durability: "relaxed",
    env: { PGPASSWORD: "none" },
  });
  const { status, stderr } = await gateway.weir("targets", "prepare", "guarded", "--apply", "--user", "postgres");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  bot = await gateway.token("bot", "agent");
  owner = await gateway.token("ann", "human");
});

beforeEach(() => {
  const granted = "GRANT SELECT ON public.customers TO weir_governed";
  server.psql(`DROP TABLE IF EXISTS public.customers; SET ROLE app_owner; ${OTHER}; ${granted}`, "corpus");
});

afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
});

function connect(mode: Mode, password: string): Promise<WireClient> {
  return WireClient.logIn(gateway, { database: mode, password });
}

type Part = Uint8Array;

/** What a session does while the name means the open relation, what it tries when it means the other, and its rows before. */
const KEPT: Readonly<Record<string, { readonly begin: readonly Part[][]; readonly on: readonly Part[] }>> = {
  "PREPARE, run by EXECUTE": {
    begin: [[encodeQuery(`PREPARE s AS ${EMAIL}`)]],
    on: [encodeQuery("EXECUTE s")],
  },
  "PREPARE among others, run by EXECUTE": {
    begin: [[encodeQuery(`SELECT 1; PREPARE s AS ${EMAIL}; EXECUTE s`)]],
    on: [encodeQuery("SELECT 2; EXECUTE s")],
  },
  "PREPARE, run by Bind": {
    begin: [[encodeQuery(`PREPARE s AS ${EMAIL}`)]],
    on: [runNamed("s"), SYNC],
  },
  "Parse, run by EXECUTE": {
    begin: [[encodeParse("s", EMAIL), SYNC]],
    on: [encodeQuery("EXECUTE s")],
  },
  "Parse, run by Bind": {
    begin: [[encodeParse("s", EMAIL), SYNC]],
    on: [runNamed("s"), SYNC],
  },
  "Parse of a PREPARE, run by EXECUTE": {
    begin: [[encodeParse("p", `PREPARE s AS ${EMAIL}`), runNamed("p"), SYNC]],
    on: [encodeQuery("EXECUTE s")],
  },
  "Parse of an EXECUTE": {
    begin: [[encodeQuery(`PREPARE s AS ${EMAIL}`)], [encodeParse("e", "EXECUTE s"), SYNC]],
    on: [runNamed("e"), SYNC],
  },
  "a portal of an EXECUTE": {
    begin: [
      [encodeQuery(`PREPARE s AS ${EMAIL}`)],
      [encodeQuery("BEGIN")],
      [encodeParse("e", "EXECUTE s"), bind("p", "e"), SYNC],
    ],
    on: [encodeExecute("p"), SYNC],
  },
  "Parse of a COPY": {
    begin: [[encodeParse("s", COPY), SYNC]],
    on: [runNamed("s"), SYNC],
  },
  "a portal of a COPY": {
    begin: [[encodeQuery("BEGIN")], [encodeParse("s", COPY), bind("p", "s"), SYNC]],
    on: [encodeExecute("p"), SYNC],
  },
  "a portal of a COPY of a query": {
    begin: [[encodeQuery("BEGIN")], [encodeParse("s", `COPY (${EMAIL}) TO STDOUT`), bind("p", "s"), SYNC]],
    on: [encodeExecute("p"), SYNC],
  },
  "Parse of a cursor": {
    begin: [[encodeParse("s", `DECLARE c CURSOR WITH HOLD FOR ${EMAIL}`), SYNC]],
    on: [runNamed("s"), SYNC],
  },
};

describe.each(MODES)("%s", (mode) => {
  test.each(Object.entries(KEPT))("%s", async (_name, { begin, on }) => {
    const client = await connect(mode, bot);
    for (const parts of begin) expect(errorIn(await client.ask(...parts))).toBeUndefined();
    const by = await connect(mode, owner);
    await rowsOf(by, "DROP TABLE public.customers");
    await by.terminate();
    expectOutdated(await client.ask(...on));
    await client.ask(encodeQuery("ROLLBACK"));
    expect((await rowsOf(client, EMAIL))[0]).toEqual(["***"]);
    await client.terminate();
  });

  test("what still means the same goes on", async () => {
    const client = await connect(mode, bot);
    await client.ask(encodeQuery(`PREPARE s AS ${EMAIL}`));
    await client.ask(encodeParse("t", "SELECT email FROM app.customers"), SYNC);
    await client.ask(encodeQuery("BEGIN"));
    await client.ask(encodeParse("e", "EXECUTE s"), bind("p", "e"), bind("q", "t"), SYNC);
    const by = await connect(mode, owner);
    await rowsOf(by, "CREATE TABLE public.other ()");
    expect(rows(await client.ask(encodeExecute("p"), SYNC))).toEqual([["open"]]);
    expect(rows(await client.ask(encodeExecute("q", 1), SYNC))).toEqual([["***"]]);
    await rowsOf(by, "DROP TABLE public.other");
    expect(rows(await client.ask(encodeExecute("q", 1), SYNC))).toEqual([["***"]]);
    expect(rows(await client.ask(runNamed("t"), encodeQuery("EXECUTE s")))[0]).toEqual(["***"]);
    await client.terminate();
    await by.terminate();
  });
});

function expectOutdated(messages: readonly Message[]): void {
  const error = errorIn(messages);
  expect({ code: error?.get("C"), message: error?.get("M"), shown: transcript(messages.filter(isData)) }).toEqual({
    code: "42501",
    message: expect.stringContaining("what it reads has changed since it was prepared"),
    shown: [],
  });
}

function isData({ type }: Message): boolean {
  return type === "D" || type === "d";
}
