/** What changes how texts are read, and texts that are read behind it in the same pipeline: they are judged as the server will take them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { encodeClose, encodeParse, encodeQuery, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run, runNamed } from "./messages.ts";
import { expectRefusal, type Policed, policyFiles, rowsOf, startPoliced } from "./policed.ts";
import { Roads } from "./roads.ts";
import { greetingWithLateReports, rows, sqlStates, transcript } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();
const ITEM = "SELECT name FROM item";

/** `item` is open in public and closed in the schema `other`; each holds its own schema's name. */
const SCHEMA = `
  CREATE TABLE public.item AS SELECT 'public' AS name;
  CREATE SCHEMA other;
  CREATE TABLE other.item AS SELECT 'other' AS name;
  CREATE SCHEMA "é"; CREATE SCHEMA "Ã©";
  CREATE TABLE "é".item AS SELECT 'one' AS name;
  CREATE TABLE "Ã©".item AS SELECT 'other one' AS name;`;

const POLICY = policyFiles(
  `  - id: item-read
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select], relations: [public.item, é.item] } }
  - id: settings
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [set protected] } }
  - id: calls
    subject: { any: true }
    target: { any: true }
    action: { postgres: { functions: [pg_catalog.set_config] } }`,
);

/** As rows() shows it. */
const DEFAULT_PATH = String.raw`\"$user\", public`;

let policed: Policed;
let client: WireClient;
let roads: Roads;

beforeAll(async () => {
  policed = await startPoliced(SCHEMA, POLICY);
  roads = await Roads.start({ sql: SCHEMA });
});

beforeEach(async () => {
  client = await policed.connect();
});

afterEach(() => client.terminate());

afterAll(async () => {
  await policed.stop();
  await roads.stop();
});

async function expectPath(path: string): Promise<void> {
  expect(await rowsOf(client, "SHOW search_path")).toEqual([[path]]);
}

describe("behind a change in the same pipeline", () => {
  test("a text is read under what holds there", async () => {
    const messages = await client.ask(
      run("SET search_path = other"),
      run("SELECT name FROM public.item"),
      run("SELECT set_config('search_path', 'public', true)"),
      run(ITEM),
      SYNC,
    );
    expect(rows(messages)).toEqual([["public"], ["public"], ["public"]]);
    await expectPath("other");
    const refused = await client.ask(run("SET LOCAL search_path = public"), run(ITEM), run("RESET search_path"), SYNC);
    expect(rows(refused)).toEqual([["public"]]);
    await expectPath(DEFAULT_PATH);
  });

  test("a text that means the closed table is refused by name, not for being unread", async () => {
    const messages = await client.ask(run("SET search_path = other"), run(ITEM), SYNC);
    expect(expectRefusal(messages, null).get("M")).not.toContain("could not be read");
    expect(rows(messages)).toEqual([]);
    await expectPath(DEFAULT_PATH);
  });

  test("what was prepared before is judged anew", async () => {
    const messages = await client.ask(
      encodeParse("s", ITEM),
      runNamed("s"),
      run("SET LOCAL search_path = other"),
      runNamed("s"),
      SYNC,
    );
    expect(rows(messages)).toEqual([["public"]]);
    expectRefusal(messages, null);
  });

  test("a Query is read so too", async () => {
    client.send(run("SET LOCAL search_path = public"), encodeQuery(ITEM));
    expect(rows(await client.ready())).toEqual([["public"]]);
    client.send(run("SET LOCAL search_path = other"), encodeQuery(ITEM));
    expectRefusal(await client.ready(), null);
  });

  test("what the server does not report before the Sync is known", async () => {
    const off = await client.ask(run("SET LOCAL standard_conforming_strings = off"), run("SELECT 'a'"), SYNC);
    expect(expectRefusal(off, null).get("M")).toContain("standard_conforming_strings is off");
    expect(await rowsOf(client, "SELECT 'a'")).toEqual([["a"]]);
    const on = await client.ask(
      run("SET LOCAL standard_conforming_strings = off"),
      run("SET LOCAL standard_conforming_strings = on"),
      SYNC,
    );
    // The second cannot be read, whatever it would do.
    expect(sqlStates(on)).toEqual(["42501"]);
    const encoding = await client.ask(run("SET LOCAL client_encoding = 'LATIN1'"), run("SELECT 'é'"), SYNC);
    expect(expectRefusal(encoding, null).get("M")).toContain("client_encoding is not UTF8");
    expect(await rowsOf(client, "SELECT 'é'")).toEqual([["Ã©"]]);
  });
});

describe("behind the Sync, sent at once", () => {
  test("what was set for the transaction alone counts no more", async () => {
    await client.ask(encodeQuery("SET search_path = other"));
    client.send(run("SET LOCAL search_path = public"), run(ITEM), SYNC, run(ITEM), SYNC);
    expect(rows(await client.ready())).toEqual([["public"]]);
    const second = await client.ready();
    expect(rows(second)).toEqual([]);
    expectRefusal(second, null);
    client.send(run("SET LOCAL search_path = public"), run(ITEM), encodeQuery(ITEM), run(ITEM), SYNC);
    expect(rows(await client.ready())).toEqual([["public"], ["public"]]);
    expectRefusal(await client.ready(), null);
  });

  test("and neither does how strings were read", async () => {
    client.send(
      run("SET LOCAL standard_conforming_strings = off"),
      encodeParse("t", ITEM),
      SYNC,
      run("SELECT 'a\\'"),
      SYNC,
    );
    expect(sqlStates(await client.ready())).toEqual(["42501"]);
    expect(rows(await client.ready())).toEqual([["a\\\\"]]);
  });
});

test("a path that is told in another encoding is not taken for one in UTF-8", async () => {
  await client.ask(encodeQuery("SET client_encoding = 'LATIN1'"));
  await client.ask(encodeQuery("SELECT set_config('search_path', convert_from('\\xc383c2a9', 'UTF8'), false)"));
  const messages = await client.ask(encodeQuery(ITEM));
  expect(rows(messages)).toEqual([]);
  expectRefusal(messages, null);
});

describe("nothing of the questions is seen", () => {
  // From PostgreSQL 18 on the search_path is a setting that the server reports.
  const compare = (scenario: (road: WireClient) => Promise<void>): Promise<string[]> =>
    roads.compare(scenario, {}, greetingWithLateReports);

  test("before what a transaction must not hold", async () => {
    const seen = await compare(async (road) => {
      const set = "SELECT set_config('search_path', 'other', false)";
      await road.ask(run("BEGIN"), run(set), run("COMMIT"), run("VACUUM item"), SYNC);
      await road.ask(encodeClose("statement", "old"), run("VACUUM item"), SYNC);
      await road.ask(encodeQuery(set));
      await road.ask(encodeClose("statement", "old"), run("VACUUM item"), run("SELECT 1"), run(ITEM), SYNC);
      await road.ask(run(set), run("VACUUM item"), SYNC);
    });
    expect(seen.filter((line) => line === "C VACUUM")).toHaveLength(3);
    expect(seen.join("\n")).toContain("C=25001");
  });

  test("by the transaction that a pipeline is, and portals in it", async () => {
    await compare(async (road) => {
      await road.ask(
        encodeParse("", "SELECT n FROM generate_series(1, 3) AS n"),
        bind("p", ""),
        run("SELECT set_config('search_path', 'other', false)"),
        run("CREATE TABLE made ()"),
        run(ITEM),
        run("SELECT 1/0"),
        SYNC,
      );
      await road.ask(run("SELECT to_regclass('other.made')"), run(ITEM), SYNC);
      await road.ask(encodeQuery("BEGIN; SET LOCAL search_path = other"));
      await road.ask(run(ITEM), run("SAVEPOINT s"), run("SET LOCAL search_path = public"), run(ITEM), SYNC);
      await road.ask(run("ROLLBACK TO s"), run(ITEM), run("COMMIT"), run(ITEM), SYNC);
    });
  });
});

test("where the server cannot be asked, the refusal says so", async () => {
  await client.ask(encodeQuery("BEGIN"));
  expect(transcript(await client.ask(encodeQuery("SELECT 1/0"))).at(-1)).toBe("Z E");
  const messages = await client.ask(run("ROLLBACK"), run("SET search_path = public"), run(ITEM), SYNC);
  expect(expectRefusal(messages, null).get("M")).toContain("cannot be asked");
});
