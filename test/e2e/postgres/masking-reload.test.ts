/**
 * When what is masked changes, by policy or in the catalog, no session goes on under its old masks: whatever it has
 * prepared, bound, opened or begun, it ends and says why, and nothing of what is masked now is shown on the way.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { encodeExecute, encodeParse, encodeQuery, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { corpusSchema } from "../../corpus/masking.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { startTap, type Tap } from "../../servers/tap.ts";
import { bind, runNamed } from "./messages.ts";
import { policyFiles, rowsOf } from "./policed.ts";
import { errorIn, rows } from "./transcript.ts";
import { type Message, WireClient, WireClosed } from "./wire-client.ts";

setDefaultTimeout(240_000);

const SYNC = encodeSync();
const SECRET = "canary-";
const MODES = ["guarded", "inline"] as const;
type Mode = (typeof MODES)[number];
type Target = Mode | `${Mode}-alone`;

const PERMITS = `  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true`;

/** A guard for somebody else, so that every set has a file of guards. */
const NO_OTHER =
  "  - { id: no-other, subject: { names: [other] }, action: { postgres: { relations: [app.nothing] } }, deny: never }";

function masks(
  how: string,
  columns = "app.customers.email, app.customers_vip.email",
): Readonly<Record<string, string>> {
  const rule = `  - id: masks
    subject: { kinds: [agent] }
    action: { postgres: { columns: [${columns}] } }
    oblige: { mask: [{ ${how} }] }`;
  return policyFiles(PERMITS, `${NO_OTHER}\n${rule}`);
}

const POLICIES = {
  none: policyFiles(PERMITS, NO_OTHER),
  redacted: masks("with: redact"),
  partial: masks("with: partial, keepFirst: 2, keepLast: 0"),
} as const;
type State = keyof typeof POLICIES;

/** What the first customer's address looks like under each of them. */
const SHOWN: Readonly<Record<State, RegExp>> = { none: /^canary-0001/u, redacted: /^\*\*\*$/u, partial: /^ca\*\*\*$/u };
const EMAIL = "SELECT email FROM app.customers ORDER BY id";
/** Rows that say when they were made; what they are of follows. */
const SLOWLY = "SELECT extract(epoch FROM clock_timestamp()) * 1000, email, pg_sleep(0.001)";

let server: PostgresServer;
let tap: Tap;
let gateway: Gateway;
let bot: string;
let owner: string;

beforeAll(async () => {
  server = await startPostgres();
  server.psql("CREATE DATABASE corpus");
  server.psql(`${corpusSchema()}\nALTER ROLE app_owner LOGIN;`, "corpus");
  for (const mode of MODES) server.psql(`CREATE ROLE alone_${mode} LOGIN CONNECTION LIMIT 1 IN ROLE app_owner`);
  tap = await startTap(server.port);
  const postgres = { host: tap.host, port: tap.port, database: "corpus", user: "app_owner" };
  const searchPath = ["app", "public"];
  gateway = await startGateway({
    postgres: server,
    targets: {
      guarded: { postgres, masking: { mode: "guarded", user: "weir_governed", searchPath } },
      inline: { postgres, masking: { mode: "inline", searchPath } },
      // A client's session takes the one connection that there may be, and none is left to read the catalog.
      "guarded-alone": {
        postgres: { ...postgres, user: "alone_guarded" },
        masking: { mode: "guarded", user: "weir_governed", searchPath },
      },
      "inline-alone": { postgres: { ...postgres, user: "alone_inline" }, masking: { mode: "inline", searchPath } },
    },
    policyFiles: POLICIES.redacted,
    durability: "relaxed",
    env: { PGPASSWORD: "none" },
  });
  bot = await gateway.token("bot", "agent");
  owner = await gateway.token("ann", "human");
});

afterAll(async () => {
  await gateway?.stop();
  await tap?.stop();
  await server?.stop();
});

/** A session of the agent, for whom columns are masked, or of the person who owns the schema. */
function connect(target: Target, who: "bot" | "owner" = "bot", application = "test"): Promise<WireClient> {
  const password = who === "bot" ? bot : owner;
  return WireClient.logIn(gateway, { database: target, password, parameters: { application_name: application } });
}

async function prepareAgain(): Promise<void> {
  const { status, stdout, stderr } = await gateway.weir(
    "targets",
    "prepare",
    "guarded",
    "--apply",
    "--user",
    "postgres",
  );
  if (status !== 0) throw new Error(`weir targets prepare: ${stdout}${stderr}`);
}

/** Writes the policy and waits until the gateway decides by it. */
async function decideBy(state: State): Promise<void> {
  for (const [path, text] of Object.entries(POLICIES[state])) gateway.writePolicy(path, text);
  await gateway.policyTaken();
}

/** The same, with the database prepared for it, and new sessions that see what they shall. */
async function become(state: State, mode: Mode): Promise<void> {
  await decideBy(state);
  if (mode === "guarded" && state !== "none") await prepareAgain();
  while (!SHOWN[state].test(await firstAddress(mode)));
}

/** What a new session sees; nothing while sessions are not let in, or end because the policy is changing. */
async function firstAddress(mode: Mode): Promise<string> {
  try {
    const client = await connect(mode);
    const [first] = rows(await answerOrEnd(client, encodeQuery(EMAIL)));
    await client.terminate();
    return first?.[0] ?? "";
  } catch (error) {
    if (error instanceof WireClosed) return "";
    throw error;
  }
}

/** Everything that comes until the session is closed, after this was sent to it. */
async function lastWords(client: WireClient, ...parts: readonly Uint8Array[]): Promise<readonly Message[]> {
  if (!client.isEnded) client.send(...parts);
  return client.end();
}

function expectEndedForMasks(messages: readonly Message[]): void {
  expectLastWords(messages);
  expectNoSecret(messages);
}

function expectLastWords(messages: readonly Message[], why = "what is masked for this session has changed"): void {
  const fatal = errorIn(messages.slice(-1));
  expect({ severity: fatal?.get("S"), message: fatal?.get("M") }).toEqual({
    severity: "FATAL",
    message: expect.stringContaining(why),
  });
}

function expectNoSecret(messages: readonly Message[]): void {
  expect(messages.filter(({ body }) => body.includes(SECRET)).map(({ body }) => body.toString("latin1"))).toEqual([]);
}

/** What a session may hold when its masks change: how it comes to it, and how it would go on. */
const HELD: Readonly<
  Record<string, { readonly begin: (client: WireClient) => Promise<void>; readonly on: readonly Uint8Array[] }>
> = {
  nothing: { begin: async () => {}, on: [encodeQuery(EMAIL)] },
  "the same text": {
    begin: async (client) => void (await client.ask(encodeQuery(EMAIL))),
    on: [encodeQuery(EMAIL)],
  },
  "a statement of the protocol": {
    begin: async (client) => void (await client.ask(encodeParse("s", EMAIL), SYNC)),
    on: [runNamed("s"), SYNC],
  },
  "a statement of SQL": {
    begin: async (client) => void (await client.ask(encodeQuery(`PREPARE s AS ${EMAIL}`))),
    on: [encodeQuery("EXECUTE s")],
  },
  "a bound portal": {
    begin: async (client) => {
      await client.ask(encodeQuery("BEGIN"));
      await client.ask(encodeParse("s", EMAIL), bind("p", "s"), SYNC);
    },
    on: [encodeExecute("p"), SYNC],
  },
  "a suspended portal": {
    begin: async (client) => {
      await client.ask(encodeQuery("BEGIN"));
      await client.ask(encodeParse("s", EMAIL), bind("p", "s"), encodeExecute("p", 2), SYNC);
    },
    on: [encodeExecute("p", 2), SYNC],
  },
  "an open cursor": {
    begin: async (client) => {
      await client.ask(encodeQuery(`BEGIN; DECLARE c CURSOR FOR ${EMAIL}`));
      await client.ask(encodeQuery("FETCH 2 FROM c"));
    },
    on: [encodeQuery("FETCH 2 FROM c")],
  },
  "a cursor that outlives its transaction": {
    begin: async (client) => {
      await client.ask(encodeQuery(`DECLARE c CURSOR WITH HOLD FOR ${EMAIL}`));
      await client.ask(encodeQuery("FETCH 2 FROM c"));
    },
    on: [encodeQuery("FETCH 2 FROM c")],
  },
  "a transaction that sees the past": {
    begin: async (client) => {
      await client.ask(encodeQuery("BEGIN ISOLATION LEVEL REPEATABLE READ"));
      await client.ask(encodeQuery(EMAIL));
    },
    on: [encodeQuery(EMAIL)],
  },
};

describe.each(MODES)("%s: a changed policy", (mode) => {
  const changes: readonly (readonly [State, State])[] = [
    ["none", "redacted"],
    ["redacted", "partial"],
    ["partial", "none"],
  ];
  test.each(changes)("from %s to %s ends every session, whatever it holds", async (from, to) => {
    await become(from, mode);
    const sessions = await Promise.all(
      Object.values(HELD).map(async ({ begin, on }) => {
        const client = await connect(mode);
        await begin(client);
        // What came before the change was right at its time.
        expect(client.unread.some(({ type }) => type === "E")).toBe(false);
        return { client, on };
      }),
    );
    await become(to, mode);
    for (const { client, on } of sessions) expectEndedForMasks(await lastWords(client, ...on));
  });

  test.each(changes)("from %s to %s ends a result that is on its way", async (from, to) => {
    await become(from, mode);
    const client = await connect(mode);
    client.send(encodeQuery(`${SLOWLY} FROM app.customers, generate_series(1, 100000)`));
    await client.until("D");
    await decideBy(to);
    const decidedAtMs = Date.now();
    const messages = await client.end();
    expectLastWords(messages);
    // What came before was right at its time, and nothing came after.
    expect(rows(messages).filter(([atMs]) => Number(atMs) > decidedAtMs)).toEqual([]);
  });

  test("of a result that is on its way nothing goes on while it is not known what is masked now", async () => {
    await become("none", mode);
    const by = await connect(mode, "owner");
    // What masks need to know of another catalog is asked of the server, over a connection of the gateway's own.
    await rowsOf(by, "CREATE TABLE app.another ()");
    try {
      expect(await rowsOf(by, "SELECT count(*) FROM app.another")).toEqual([["0"]]);
      const client = await connect(mode);
      client.send(encodeQuery(`${SLOWLY} FROM app.customers, generate_series(1, 100000)`));
      await client.until("D");
      const held = tap.holdBack("application_name\0weir\0");
      await decideBy("redacted");
      const release = await held;
      const decidedAtMs = Date.now();
      // It takes the time of many rows; the gateway gives a connection of its own up after fifteen seconds.
      await gateway.weir("status");
      release();
      const messages = await client.end();
      expectLastWords(messages);
      expect(rows(messages).filter(([atMs]) => Number(atMs) > decidedAtMs)).toEqual([]);
    } finally {
      await rowsOf(by, "DROP TABLE app.another");
      await by.terminate();
    }
  });

  test("nothing goes on of a result that nobody understands when the catalog has never been known", async () => {
    await become("none", mode);
    const client = await connect(`${mode}-alone`);
    client.send(encodeQuery(`${SLOWLY} FROM app.customers, generate_series(1, 100000)`));
    await client.until("D");
    await decideBy("redacted");
    const decidedAtMs = Date.now();
    const messages = await client.end();
    expectLastWords(messages, "what is masked for this session cannot be worked out any more");
    expect(rows(messages).filter(([atMs]) => Number(atMs) > decidedAtMs)).toEqual([]);
  });

  test("counts for a column that was added past the gateway a moment before", async () => {
    const { "guards/test.yaml": guards = "" } = masks("with: redact", "app.products.bid");
    await become("none", mode);
    const by = await connect(mode, "owner");
    const client = await connect(mode);
    server.psql("ALTER TABLE app.products ADD COLUMN bid text DEFAULT 'canary-bid'", "corpus");
    try {
      client.send(encodeQuery(`${SLOWLY.replace("email", "p.*")} FROM app.products p, generate_series(1, 100000)`));
      await client.until("D");
      gateway.writePolicy("guards/test.yaml", guards);
      await gateway.policyTaken();
      const decidedAtMs = Date.now();
      const messages = await client.end();
      expectLastWords(messages);
      expect(rows(messages).filter(([atMs]) => Number(atMs) > decidedAtMs)).toEqual([]);
    } finally {
      // It waits until the server has given the result up, which is told through the relay.
      await rowsOf(by, "ALTER TABLE app.products DROP COLUMN bid");
      await by.terminate();
    }
  });

  test.each(changes)("from %s to %s counts for a session that is still being let in", async (from, to) => {
    await become(from, mode);
    const held = tap.holdBack("held back");
    const connecting = connect(mode, "bot", "held back");
    const release = await held;
    await decideBy(to);
    release();
    // Policy names no column of this view: what is masked there was worked out for the session.
    const words = await lastWords(await connecting, encodeQuery("SELECT contact FROM app.customer_directory"));
    expectEndedForMasks(words);
  });

  test("that masks the same ends nobody", async () => {
    await become("redacted", mode);
    const client = await connect(mode);
    await client.ask(encodeParse("s", EMAIL), SYNC);
    const other = await connect(mode, "owner");
    expect((await rowsOf(other, EMAIL))[0]).toEqual([expect.stringContaining(SECRET)]);
    const { "guards/test.yaml": guards = "" } = POLICIES.redacted;
    const denied = "  - { id: no-products, action: { postgres: { relations: [app.products] } }, deny: not now }";
    gateway.writePolicy("guards/test.yaml", `${guards}${denied}\n`);
    while (errorIn(await client.ask(encodeQuery("SELECT id FROM app.products LIMIT 1"))) === undefined);
    expect(rows(await client.ask(runNamed("s"), SYNC))[0]).toEqual(["***"]);
    expect((await rowsOf(other, EMAIL))[0]).toEqual([expect.stringContaining(SECRET)]);
    await client.terminate();
    await other.terminate();
  });
});

describe.each(MODES)("%s: a changed catalog", (mode) => {
  /** What the owner changes through the gateway, what the agent has prepared before, and how it is undone. */
  const changes: Readonly<Record<string, { readonly does: string; readonly reads: string; readonly undo: string }>> = {
    "a column more in a masked relation": {
      does: "ALTER TABLE app.customers ADD COLUMN nick text DEFAULT 'canary-nick'",
      reads: "SELECT id, email FROM app.customers ORDER BY id",
      undo: "ALTER TABLE app.customers DROP COLUMN nick",
    },
    "another name of a masked column": {
      does: "ALTER TABLE app.customers RENAME COLUMN email TO mail",
      reads: "SELECT id, email FROM app.customers ORDER BY id",
      undo: "ALTER TABLE app.customers RENAME COLUMN mail TO email",
    },
    "a view that shows a masked column now": {
      does: "CREATE OR REPLACE VIEW app.customer_public AS SELECT id, email AS full_name, created_at FROM app.customers",
      reads: "SELECT id, full_name FROM app.customer_public ORDER BY id",
      undo: "CREATE OR REPLACE VIEW app.customer_public AS SELECT id, full_name, created_at FROM app.customers",
    },
    "a child more": {
      does: "CREATE TABLE app.customers_more () INHERITS (app.customers)",
      reads: "SELECT id, email FROM app.customers ORDER BY id",
      undo: "DROP TABLE app.customers_more",
    },
  };

  test.each(Object.entries(changes))("%s shows nobody what is masked", async (_name, { does, reads, undo }) => {
    await become("redacted", mode);
    const by = await connect(mode, "owner");
    const prepared = await connect(mode);
    await prepared.ask(encodeParse("s", reads), SYNC);
    const suspended = await connect(mode);
    await suspended.ask(encodeQuery("BEGIN"));
    // Not of the relation itself: that would keep its owner waiting.
    await suspended.ask(encodeQuery("SELECT 1"));
    try {
      await rowsOf(by, does);
      for (const client of [prepared, suspended]) {
        const on = client === prepared ? [runNamed("s"), SYNC] : [encodeQuery(reads)];
        expectNoSecret(await answerOrEnd(client, ...on));
      }
      const fresh = await connect(mode);
      expectNoSecret(await answerOrEnd(fresh, encodeQuery(reads)));
      await fresh.terminate();
    } finally {
      await Promise.all([prepared.terminate(), suspended.terminate()]);
      await rowsOf(by, undo);
      await by.terminate();
    }
  });

  test("a view that shows a masked column now, made past the gateway, is noticed", async () => {
    const { does, reads, undo } = changes["a view that shows a masked column now"] ?? { does: "", reads: "", undo: "" };
    await become("redacted", mode);
    const client = await connect(mode);
    await client.ask(encodeParse("s", reads), SYNC);
    server.psql(does, "corpus");
    try {
      // The gateway looks at the catalog every few seconds; from then on nothing is shown.
      let messages: readonly Message[] = [];
      do messages = await answerOrEnd(client, runNamed("s"), SYNC);
      while (!client.isEnded && errorIn(messages) === undefined);
      expectEndedForMasks(messages);
      const fresh = await connect(mode);
      expectNoSecret(await answerOrEnd(fresh, encodeQuery(reads)));
      await fresh.terminate();
    } finally {
      server.psql(undo, "corpus");
    }
  });
});

/** The answer to what is sent, or what comes until the session is closed. */
async function answerOrEnd(client: WireClient, ...parts: readonly Uint8Array[]): Promise<readonly Message[]> {
  const from = client.received.length;
  if (!client.isEnded) client.send(...parts);
  try {
    await client.ready();
  } catch (error) {
    if (!(error instanceof WireClosed)) throw error;
  }
  return client.received.slice(from);
}
