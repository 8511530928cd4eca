/** Random attempts to read a forbidden table under a permitted table's name: none gets a row, none makes the session hang. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { array, assert as check, asyncProperty, constant, constantFrom, oneof, record } from "fast-check";
import {
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run } from "./messages.ts";
import { type Policed, policyFiles, startPoliced } from "./policed.ts";
import { rows, transcript } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient, WireClosed } from "./wire-client.ts";

setDefaultTimeout(2 * TEST_TIME_MS_MAX);

const ATTEMPTS = 150;
const MESSAGES_MAX = 40;
const SECRET = "the-secret";

const SCHEMA = `
  CREATE TABLE public.item AS SELECT 'open' AS name;
  CREATE SCHEMA other;
  CREATE TABLE other.item AS SELECT '${SECRET}' AS name;
  CREATE ROLE other;
  GRANT USAGE ON SCHEMA other TO other;
  GRANT SELECT ON other.item, public.item TO other;`;

const POLICY = policyFiles(`  - id: item
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select], relations: [public.item] } }
  - id: ways-around
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [set role, create table, drop table] } }
  - id: settings
    subject: { any: true }
    target: { any: true }
    action: { postgres: { functions: [pg_catalog.set_config] } }`);

/** What reads, what changes what is read, and what takes changes back or keeps things for later. */
const reading = constantFrom(
  "SELECT name FROM item",
  "SELECT * FROM item",
  "TABLE item",
  "SELECT name FROM public.item",
);
const changing = constantFrom(
  "SET search_path = other",
  "SET search_path = other, public",
  'SET search_path = "$user", public',
  "SET search_path = public",
  "SET LOCAL search_path = other",
  "RESET search_path",
  "SELECT set_config('search_path', 'other', false)",
  "SELECT set_config('search_path', 'other', true)",
  "SET ROLE other",
  "RESET ROLE",
  "RESET ALL",
  "DISCARD ALL",
  "CREATE TEMP TABLE item (name text)",
  "DROP TABLE pg_temp.item",
);
const keeping = constantFrom(
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SAVEPOINT a",
  "ROLLBACK TO a",
  "RELEASE a",
  "SELECT 1/0",
  "PREPARE s AS SELECT name FROM item",
  "EXECUTE s",
  "DEALLOCATE s",
  "DECLARE p CURSOR FOR SELECT name FROM item",
  "DECLARE p CURSOR WITH HOLD FOR SELECT name FROM item",
  "FETCH ALL FROM p",
  "CLOSE p",
);
const sql = oneof(
  { weight: 4, arbitrary: reading },
  { weight: 4, arbitrary: changing },
  { weight: 3, arbitrary: keeping },
);
const statementName = constantFrom("", "s");
const portalName = constantFrom("", "p");

const step = oneof(
  { weight: 8, arbitrary: sql.map((text) => encodeQuery(text)) },
  { weight: 2, arbitrary: record({ a: sql, b: sql }).map(({ a, b }) => encodeQuery(`${a}; ${b}`)) },
  { weight: 5, arbitrary: sql.map((text) => run(text)) },
  { weight: 4, arbitrary: record({ name: statementName, text: sql }).map(({ name, text }) => encodeParse(name, text)) },
  {
    weight: 4,
    arbitrary: record({ portal: portalName, name: statementName }).map(({ portal, name }) => bind(portal, name)),
  },
  {
    weight: 4,
    arbitrary: record({ portal: portalName, max: constantFrom(0, 1) }).map(({ portal, max }) =>
      encodeExecute(portal, max),
    ),
  },
  { weight: 1, arbitrary: portalName.map((name) => encodeDescribe("portal", name)) },
  { weight: 1, arbitrary: statementName.map((name) => encodeClose("statement", name)) },
  { weight: 1, arbitrary: portalName.map((name) => encodeClose("portal", name)) },
  { weight: 8, arbitrary: constant(encodeSync()) },
  { weight: 1, arbitrary: constant(encodeFlush()) },
);

let policed: Policed;

beforeAll(async () => {
  policed = await startPoliced(SCHEMA, POLICY);
});

afterAll(async () => {
  await policed.stop();
});

/** Sends all of it, some at once, and answers with everything that came until a last query was answered. */
async function converse(client: WireClient, steps: readonly Uint8Array[], pieceSteps: number): Promise<string> {
  for (let at = 0; at < steps.length; at += pieceSteps) {
    client.send(...steps.slice(at, at + pieceSteps));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Whatever the path is by now, inside the transaction and after it.
  const read = encodeQuery("SELECT name FROM item");
  client.send(encodeSync(), read, encodeQuery("ROLLBACK"), read, encodeQuery("SELECT 'the end'"));
  for (;;) {
    const messages = await client.until("Z").catch((error: unknown) => {
      // A SAVEPOINT among pipelined statements makes some servers end the session.
      if (error instanceof WireClosed) return null;
      throw error;
    });
    if (messages === null || rows(messages).flat().includes("the end")) break;
  }
  client.abandon();
  return transcript(client.received).join("\n");
}

test("no way around the names", async () => {
  let direct = 0;
  let open = 0;
  await check(
    asyncProperty(
      array(step, { minLength: 2, maxLength: MESSAGES_MAX }),
      constantFrom(1, 3, MESSAGES_MAX),
      async (steps, pieceSteps) => {
        if ((await converse(await policed.connectDirectly(), steps, pieceSteps)).includes(SECRET)) direct++;
        const seen = await converse(await policed.connect(), steps, pieceSteps);
        if (seen.includes("D open")) open++;
        expect(seen).not.toContain(SECRET);
      },
    ),
    { numRuns: ATTEMPTS, endOnFailure: true },
  );
  // The attempts are good enough without a gateway, and the gateway does not just refuse everything.
  expect(direct).toBeGreaterThan(ATTEMPTS / 30);
  expect(open).toBeGreaterThan(ATTEMPTS / 10);
});
