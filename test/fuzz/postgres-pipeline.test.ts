/**
 * Random conversations over PostgreSQL's protocol, whatever their order and however their bytes are cut: through a
 * gateway that permits everything they are answered as by the server, in every durability; what the server runs is in
 * the log, in that order; and a table that policy closes stays closed.
 *
 * An ordinary run takes about half a minute; WEIR_TEST_LONG (`./dev test --long`) holds thousands of conversations.
 * WEIR_FUZZ_SEED repeats a run, WEIR_FUZZ_CONVERSATIONS says how many there are.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { asyncProperty, check } from "fast-check";
import { Client } from "pg";
import { SEED as SEED_OF_RUN } from "../chance.ts";
import { policyFiles } from "../e2e/postgres/policed.ts";
import { errorIn, greeting } from "../e2e/postgres/transcript.ts";
import { type Message, WireClient } from "../e2e/postgres/wire-client.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../gateway.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { PIPELINED_COPY_CASES, SIMPLE_COPY_CASES } from "./postgres-cases.ts";
import { conversation } from "./postgres-conversations.ts";
import { GatewayLog, SERVER_LOG_SETTINGS, statementsRun, unrecorded } from "./postgres-recorded.ts";
import { converse, type Conversation, shown } from "./postgres-steps.ts";
import { endInTime } from "../end-in-time.ts";

const CONVERSATIONS_ORDINARY = 150;
const CONVERSATIONS_LONG = 5000;
const DEFAULT = process.env["WEIR_TEST_LONG"] === undefined ? CONVERSATIONS_ORDINARY : CONVERSATIONS_LONG;
const CONVERSATIONS = Number(process.env["WEIR_FUZZ_CONVERSATIONS"] ?? DEFAULT);
const SEED = Number(process.env["WEIR_FUZZ_SEED"] ?? SEED_OF_RUN);

setDefaultTimeout(CONVERSATIONS * 2_000 + 60_000);

/** `item` says in every schema which one it is of; `closed.item` is the table that stays closed. */
const RESET = `
  DROP SCHEMA IF EXISTS open, closed, fresh CASCADE;
  CREATE SCHEMA open; CREATE SCHEMA closed;
  CREATE TABLE open.item AS SELECT 'is open' AS name;
  CREATE TABLE closed.item AS SELECT 'is closed' AS name;
  CREATE TABLE open.loaded (id int, word text);
  CREATE VIEW open.loaded_view AS SELECT DISTINCT id FROM open.loaded;
  CREATE TABLE open.guarded (id int, word text);
  CREATE TRIGGER refuse BEFORE INSERT ON open.guarded FOR EACH STATEMENT EXECUTE FUNCTION refuse();`;

const SCHEMA = `
  CREATE FUNCTION go_closed() RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', 'closed', false) $$;
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.01); RAISE 'no'; END $$;
  CREATE ROLE closed;
  GRANT ALL ON SCHEMA public TO closed;
  ${RESET}`;

const CLOSED_ROW = "is closed";

/** All may be done that can be read, but for one table. */
const ALL_BUT_CLOSED = policyFiles(
  `  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }`,
  `  - id: closed-is-closed
    action: { postgres: { relations: [closed.item] } }
    deny: that table is not to be read`,
);

/** All may be done, and is counted. */
const ALL_UNDER_LIMITS = policyFiles(
  `  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true`,
  `  - id: many-rows
    action: { any: true }
    oblige: { limit: { rows: 1000000 } }`,
);

const DURABILITIES = ["strict", "release", "relaxed"] as const;

type Way = { readonly name: string; readonly gateway: Gateway; readonly token: string; readonly log: GatewayLog };

let server: PostgresServer;
let admin: Client;
let open: readonly Way[];
let closed: Way;
let limited: Way;
let count = 0;
let closedRowsSeen = 0;
let crashes = 0;

beforeAll(async () => {
  server = await startPostgres({ sql: SCHEMA, settings: SERVER_LOG_SETTINGS });
  await connectAdmin();
  [closed, limited, ...open] = await Promise.all([
    start("closed", { policyFiles: ALL_BUT_CLOSED, durability: "relaxed" }),
    start("limited", { policyFiles: ALL_UNDER_LIMITS, durability: "relaxed" }),
    ...DURABILITIES.map((durability) => start(durability, { durability })),
  ]);
});

afterAll(async () => {
  await endInTime("the superuser's connection", admin.end());
  for (const way of [closed, limited, ...open]) {
    way.log.close();
    await way.gateway.stop();
  }
  await server.stop();
});

/** Waits until the server lets somebody in. */
async function connectAdmin(): Promise<void> {
  for (;;) {
    admin = new Client({ connectionString: server.url() });
    admin.on("error", () => {}); // The next query tells.
    try {
      await admin.connect();
      return;
    } catch {
      await Bun.sleep(20);
    }
  }
}

async function hasCrashed(): Promise<boolean> {
  return admin.query("SELECT 1").then(
    () => false,
    () => true,
  );
}

async function start(name: string, options: GatewayOptions): Promise<Way> {
  const gateway = await startGateway({ postgres: server, ...options });
  return { name, gateway, token: await gateway.token("ann"), log: new GatewayLog(gateway) };
}

type Held = { readonly received: readonly Message[]; readonly hasEnded: boolean };

/** Holds the conversation over one way; null: without a gateway. */
async function hold(what: Conversation, application: string, way: Way | null): Promise<Held> {
  await admin.query(RESET);
  const parameters = { application_name: application, search_path: "open" };
  const client =
    way === null
      ? await WireClient.logIn(server, { parameters })
      : await WireClient.logIn(way.gateway, { database: "db", password: way.token, parameters });
  try {
    const hasEnded = !(await converse(client, what));
    if (!hasEnded) await client.terminate();
    return { received: client.received, hasEnded };
  } catch (error) {
    const cause = `${way?.gateway.log() ?? ""}${lines(client.received).join("\n")}`;
    throw new Error(`${application} stopped: ${String(error)}; received:\n${cause}`, { cause: error });
  }
}

function lines(received: readonly Message[]): readonly string[] {
  return greeting(received).filter((line) => !line.startsWith("S application_name="));
}

/**
 * What was received, without the violation of the protocol that ended it: its words are the gateway's own. The server
 * tells it twice.
 */
function comparable({ received, hasEnded }: Held): readonly string[] {
  const all = [...lines(received)];
  for (const severity of hasEnded ? ["FATAL", "ERROR"] : []) {
    if (all.at(-1)?.startsWith(`E S=${severity} | V=${severity} | C=08P01`) === true) all.pop();
  }
  return all;
}

/** The same answers; of a session that was ended in the middle of what a client sends, it may have lost the last ones. */
function expectSame(seen: Held, direct: Held): void {
  let of = { ended: seen.hasEnded, lines: comparable(seen) };
  let expected = { ended: direct.hasEnded, lines: comparable(direct) };
  if (of.ended && expected.ended) {
    const both = Math.min(of.lines.length, expected.lines.length);
    of = { ended: true, lines: of.lines.slice(0, both) };
    expected = { ended: true, lines: expected.lines.slice(0, both) };
  }
  expect(of).toEqual(expected);
}

/** A session may be ended over a violation of the protocol, or by the server itself (which names its source file). */
function expectOrderlyEnd({ received, hasEnded }: Held): void {
  const last = received.at(-1);
  if (!hasEnded || last?.type !== "E") return;
  const error = errorIn([last]);
  if (error?.has("F") !== true) expect(error?.get("C")).toBe("08P01");
}

async function expectRecorded(way: Way, application: string): Promise<void> {
  const marker = `logged ${application}`;
  await admin.query(`SELECT '${marker}'`);
  while (!server.log().includes(marker)) await Bun.sleep(1);
  const intents = await way.log.session(application);
  expect({ ranWithoutIntent: unrecorded(statementsRun(server.log(), application), intents) }).toEqual({
    ranWithoutIntent: null,
  });
}

function isClosedRow({ type, body }: Message): boolean {
  return (type === "D" || type === "d" || type === "E" || type === "N") && body.includes(CLOSED_ROW);
}

async function holdEverywhere(what: Conversation, ways: readonly Way[]): Promise<void> {
  const number = ++count;
  const direct = await hold(what, `f${number}-direct`, null);
  if (direct.received.some(isClosedRow)) closedRowsSeen++;
  for (const way of ways) {
    const name = `f${number}-${way.name}`;
    const seen = await hold(what, name, way);
    expectSame(seen, direct);
    await expectRecorded(way, name);
  }
  const apart = await hold(what, `f${number}-closed`, closed);
  expect(apart.received.filter(isClosedRow).map(({ body }) => body.toString("latin1"))).toEqual([]);
  expectOrderlyEnd(apart);
  await expectRecorded(closed, `f${number}-closed`);
}

/** PostgreSQL 15 itself crashes over some conversations, mostly over portals that have failed: then nothing can be said. */
async function holdUnlessCrashed(what: Conversation, ways: readonly Way[]): Promise<void> {
  try {
    await holdEverywhere(what, ways);
  } catch (error) {
    if (!(await hasCrashed())) throw error;
    crashes++;
    await connectAdmin();
  }
}

test.each(Object.entries(SIMPLE_COPY_CASES))("COPY over the simple protocol: %s", async (_, what) => {
  await holdEverywhere(what, open);
  const direct = await hold(what, `c${++count}-direct`, null);
  expectSame(await hold(what, `c${count}-limited`, limited), direct);
});

test.each(Object.entries(PIPELINED_COPY_CASES))("COPY in a pipeline: %s", (_, what) => holdEverywhere(what, open));

test(`${CONVERSATIONS} random conversations, seed ${SEED}`, async () => {
  const inTurn = async (what: Conversation): Promise<void> => {
    const way = open[count % open.length];
    await holdUnlessCrashed(what, way === undefined ? [] : [way]);
  };
  const { failed, counterexample, errorInstance } = await check(asyncProperty(conversation, inTurn), {
    seed: SEED,
    numRuns: CONVERSATIONS,
    // To make it smaller takes minutes.
    endOnFailure: process.env["WEIR_FUZZ_SHRINK"] === undefined,
  });
  if (failed) {
    const [what] = counterexample ?? [];
    throw new Error(`seed ${SEED}, ${what === undefined ? "" : shown(what)}`, { cause: errorInstance });
  }
  expect(crashes).toBeLessThanOrEqual(1 + CONVERSATIONS / 50);
  // Else that the table stays closed would hold of anything.
  if (CONVERSATIONS >= CONVERSATIONS_ORDINARY) expect(closedRowsSeen).toBeGreaterThan(0);
});
