/** Limits that policy sets are kept to the row and the byte, in both protocols, and what went over one is never committed. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeCopyData,
  encodeCopyDone,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { Client, DatabaseError } from "pg";
import postgres from "postgres";
import { bind, run } from "./messages.ts";
import { expectRefusal, type Policed, policyFiles, rowsOf, startPoliced } from "./policed.ts";
import { runProgram } from "./programs.ts";
import type { Road } from "./roads.ts";
import { rows, sqlStates, transcript, types } from "./transcript.ts";
import { type Message, TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SCHEMA = `
  CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL);
  INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 20) i;
  CREATE TABLE log (id int);
  CREATE FUNCTION loud(int) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO log VALUES ($1); RAISE NOTICE 'a word that is long enough to count: %', repeat('x', 100); RETURN $1; END $$;
  CREATE PROCEDURE changes() LANGUAGE sql AS 'UPDATE item SET name = ''new''';
  CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (1); COMMIT; END';
  CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
  INSERT INTO late VALUES (1);`;

/** ann: 5 rows. bob: 300 bytes. tim: two seconds, in which a busy machine too does what takes no time. */
const POLICY = policyFiles(
  `  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true`,
  `  - id: few-rows
    subject: { names: [ann] }
    action: { any: true }
    oblige: { limit: { rows: 5 } }
  - id: few-bytes
    subject: { names: [bob] }
    action: { any: true }
    oblige: { limit: { bytes: 300B } }
  - id: little-time
    subject: { names: [tim] }
    action: { any: true }
    oblige: { limit: { time: 2s } }`,
);

let policed: Policed;
let ann: WireClient;
let bob: WireClient;
let tim: WireClient;

beforeAll(async () => {
  policed = await startPoliced(SCHEMA, POLICY);
});

beforeEach(async () => {
  [ann, bob, tim] = await Promise.all([policed.connect("ann"), policed.connect("bob"), policed.connect("tim")]);
});

afterEach(() => {
  for (const client of [ann, bob, tim]) client.abandon();
});

afterAll(async () => policed.stop());

function expectCut(messages: readonly Message[], rule = "few-rows", code = "54000"): void {
  const error = expectRefusal(messages, rule, code);
  if (rule === "few-rows") expect(error.get("M")).toContain("at most 5 rows");
}

const items = (count: number): string => `SELECT id FROM item ORDER BY id LIMIT ${count}`;

describe("rows that are returned", () => {
  test("up to the limit pass, in both protocols", async () => {
    expect(await rowsOf(ann, items(5))).toEqual([["1"], ["2"], ["3"], ["4"], ["5"]]);
    expect(rows(await ann.ask(run(items(5)), encodeSync()))).toHaveLength(5);
  });

  test("beyond it are an error, after those that the limit lets through", async () => {
    const simple = await ann.ask(encodeQuery(items(6)));
    expect(types(simple)).toBe("TDDDDDEZ");
    expectCut(simple);
    const extended = await ann.ask(run(items(6)), encodeSync());
    expect(types(extended)).toBe("12DDDDDEZ");
    expectCut(extended);
    expect(await rowsOf(ann, "SELECT 1")).toEqual([["1"]]);
  });

  test("are counted in binary too", async () => {
    const binary = [encodeParse("", items(6)), bind("", "", [], { resultFormats: [1] }), encodeExecute("")];
    const messages = await ann.ask(...binary, encodeSync());
    expect(types(messages)).toBe("12DDDDDEZ");
    expectCut(messages);
  });

  test("of all statements of a text count together, and none behind it runs", async () => {
    const messages = await ann.ask(encodeQuery(`${items(3)}; ${items(3)}; INSERT INTO log VALUES (1)`));
    expect(types(messages)).toBe("TDDDCTDDEZ");
    expectCut(messages);
    expect(policed.server.psql("SELECT count(*) FROM log")).toBe("0");
  });

  test("beyond the limit fail an open transaction", async () => {
    for (const ask of [(sql: string) => ann.ask(encodeQuery(sql)), (sql: string) => ann.ask(run(sql), encodeSync())]) {
      expect(transcript(await ask("BEGIN")).at(-1)).toBe("Z T");
      await ask("UPDATE item SET name = 'changed' WHERE id = 1");
      const messages = await ask(items(20));
      expectCut(messages);
      expect(transcript(messages).at(-1)).toBe("Z E");
      expect(transcript(await ask("COMMIT")).at(-2)).toBe("C ROLLBACK");
    }
    expect(policed.server.psql("SELECT count(*) FROM item WHERE name = 'changed'")).toBe("0");
  });

  test("beyond the limit make the rest of a pipeline be skipped, whatever was sent with it", async () => {
    const insert = run("INSERT INTO log VALUES (2)");
    const messages = await ann.ask(insert, run(items(20)), insert, insert, encodeSync());
    expect(types(messages)).toBe("12C12DDDDDEZ");
    expectCut(messages);
    ann.send(run(items(2)), encodeSync(), run(items(20)), insert, encodeSync(), run(items(1)), encodeSync());
    expect(types(await ann.ready(3))).toBe("12DDCZ12DDDDDEZ12DCZ");
    expect(policed.server.psql("SELECT count(*) FROM log")).toBe("0");
  });

  test("can be asked for by Flush", async () => {
    ann.send(run(items(2)), encodeFlush());
    expect(types(await ann.until("C"))).toBe("12DDC");
    ann.send(run(items(20)), encodeFlush());
    expect(types(await ann.until("E"))).toBe("12DDDDDE");
    expect(types(await ann.ask(encodeSync()))).toBe("Z");
  });

  test("of a portal count for each Execute", async () => {
    ann.send(encodeParse("", items(20)), bind("p", ""), encodeExecute("p", 4), encodeExecute("p", 4));
    expect(types(await ann.ask(encodeExecute("p", 6), encodeSync()))).toBe("12DDDDsDDDDsDDDDDEZ");
  });

  test("of a cursor count for each FETCH", async () => {
    await ann.ask(encodeQuery("BEGIN"));
    await ann.ask(encodeQuery(`DECLARE c CURSOR FOR ${items(20)}`));
    for (let i = 0; i < 2; i++) expect(await rowsOf(ann, "FETCH 5 FROM c")).toHaveLength(5);
    expectCut(await ann.ask(encodeQuery("FETCH ALL FROM c")));
    expect(transcript(await ann.ask(encodeQuery("ROLLBACK"))).at(-1)).toBe("Z I");
  });

  test("of COPY TO STDOUT count", async () => {
    expect(types(await ann.ask(encodeQuery(`COPY (${items(5)}) TO STDOUT`)))).toBe("HdddddcCZ");
    const simple = await ann.ask(encodeQuery("COPY item TO STDOUT"));
    expect(types(simple)).toBe("HdddddEZ");
    expectCut(simple);
    const extended = await ann.ask(run("COPY item TO STDOUT (FORMAT binary)"), encodeSync());
    expect(types(extended)).toBe("12HdddddEZ");
    expectCut(extended);
  });

  test("stop the server, however many there are", async () => {
    for (const count of ["1000000000", "1000000"]) {
      const sql = `SELECT generate_series(1, ${count})`;
      expectCut(await ann.ask(encodeQuery(sql)));
      expectCut(await ann.ask(run(sql), encodeSync()));
    }
    const going = "query LIKE 'SELECT generate_series%' AND state = 'active'";
    expect(policed.server.psql(`SELECT count(*) FROM pg_stat_activity WHERE ${going}`)).toBe("0");
  });
});

describe("rows that are changed", () => {
  const changed = (): string => policed.server.psql("SELECT count(*) FROM item WHERE name LIKE 'new%'");
  afterEach(() => {
    policed.server.psql("UPDATE item SET name = 'item ' || id WHERE name LIKE 'new%'; DELETE FROM log");
  });

  /** Six rows of each. */
  const CHANGES = [
    ["UPDATE item SET name = 'new' WHERE id <= 6", "UPDATE"],
    ["UPDATE item SET name = 'new' WHERE id <= 6 RETURNING id", "RETURNING"],
    ["INSERT INTO log SELECT id FROM item LIMIT 6", "INSERT"],
    ["WITH w AS (INSERT INTO log SELECT id FROM item LIMIT 6 RETURNING id) SELECT id FROM w", "a CTE"],
    ["MERGE INTO log l USING item i ON l.id = i.id WHEN NOT MATCHED AND i.id > 14 THEN INSERT VALUES (i.id)", "MERGE"],
    ["CREATE TABLE fresh AS SELECT id FROM item LIMIT 6", "CREATE TABLE AS"],
    ["SELECT id INTO fresh FROM item LIMIT 6", "SELECT INTO"],
    ["SELECT loud(id) FROM item LIMIT 6", "a function that changes"],
    ["UPDATE item SET name = 'new' WHERE id <= 3; UPDATE item SET name = 'new' WHERE id > 17", "two statements"],
    ["INSERT INTO log VALUES (1); SELECT id FROM item", "a change before too many rows"],
  ] as const;

  const expectNoChange = (): void => {
    expect(changed()).toBe("0");
    expect(policed.server.psql("SELECT count(*) FROM log")).toBe("0");
    expect(policed.server.psql("SELECT to_regclass('fresh') IS NULL")).toBe("t");
  };

  test.each(CHANGES)("beyond the limit are not committed: %s (%s)", async (sql) => {
    const messages = await ann.ask(encodeQuery(sql));
    expectCut(messages);
    expect(transcript(messages).at(-1)).toBe("Z I");
    expectNoChange();
    if (sql.includes(";")) return;
    const extended = await ann.ask(run(sql), encodeSync());
    expectCut(extended);
    expect(transcript(extended).at(-1)).toBe("Z I");
    expectNoChange();
    // Sent together with what would commit it.
    ann.send(run(sql), run("INSERT INTO log VALUES (7)"), encodeSync(), encodeQuery("INSERT INTO log VALUES (8)"));
    expectCut(await ann.ready());
    expect(transcript(await ann.ready()).at(-1)).toBe("Z I");
    expect(policed.server.psql("DELETE FROM log RETURNING id")).toContain("8");
    expectNoChange();
  });

  test.each(CHANGES)("beyond the limit fail an open transaction: %s (%s)", async (sql) => {
    await ann.ask(encodeQuery("BEGIN"));
    await ann.ask(encodeQuery("INSERT INTO log VALUES (1)"));
    const messages = await ann.ask(encodeQuery(sql));
    expectCut(messages);
    expect(transcript(messages).at(-1)).toBe("Z E");
    expect(transcript(await ann.ask(encodeQuery("COMMIT"))).at(-2)).toBe("C ROLLBACK");
    expectNoChange();
  });

  test("may be taken back to a savepoint", async () => {
    await ann.ask(encodeQuery("BEGIN"));
    await ann.ask(encodeQuery("INSERT INTO log VALUES (1)"));
    await ann.ask(encodeQuery("SAVEPOINT s"));
    expectCut(await ann.ask(encodeQuery("INSERT INTO log SELECT id FROM item")));
    await ann.ask(encodeQuery("ROLLBACK TO s"));
    expect(transcript(await ann.ask(encodeQuery("COMMIT"))).at(-2)).toBe("C COMMIT");
    expect(policed.server.psql("SELECT id FROM log")).toBe("1");
  });

  test("by COPY FROM STDIN count", async () => {
    const copy = async (count: number): Promise<Message[]> => {
      ann.send(encodeQuery("COPY log FROM STDIN"));
      await ann.until("G");
      for (let i = 1; i <= count; i++) ann.send(encodeCopyData(Buffer.from(`${i}\n`)));
      return ann.ask(encodeCopyDone());
    };
    expect(transcript(await copy(5))).toEqual(["C COPY 5", "Z I"]);
    expectCut(await copy(6));
    expect(policed.server.psql("SELECT count(*) FROM log")).toBe("5");
    const piped = async (count: number, isEarly: boolean): Promise<Message[]> => {
      ann.send(run("COPY log FROM STDIN"), isEarly ? encodeSync() : encodeFlush());
      await ann.until("G");
      for (let i = 1; i <= count; i++) ann.send(encodeCopyData(Buffer.from(`${i}\n`)));
      return ann.ask(encodeCopyDone(), encodeSync());
    };
    for (const isEarly of [false, true]) {
      expect(transcript(await piped(5, isEarly))).toEqual(["C COPY 5", "Z I"]);
      expectCut(await piped(6, isEarly));
    }
    expect(policed.server.psql("SELECT count(*) FROM log")).toBe("15");
  });

  test.each([
    ["BEGIN; UPDATE item SET name = 'new' WHERE id <= 6; COMMIT", "a text that ends its transaction"],
    ["UPDATE item SET name = 'new' WHERE id <= 6; COMMIT; SELECT 1", "a text that ends another"],
    ["DO $$ BEGIN UPDATE item SET name = 'new'; END $$", "what cannot be read"],
  ])("that could be committed before they are counted are refused: %s (%s)", async (sql) => {
    const messages = await ann.ask(encodeQuery(sql));
    expectRefusal(messages, "few-rows");
    expect(transcript(messages).at(-1)).toBe("Z I");
    expectNoChange();
  });

  test("by a simple query behind extended messages without their Sync could be anybody's to commit", async () => {
    const messages = await ann.ask(run("BEGIN"), encodeQuery("INSERT INTO log VALUES (1)"), encodeSync());
    expect(expectRefusal(messages, "few-rows").get("M")).toContain("comes behind a Sync only");
    expect(transcript(messages).at(-1)).toBe("Z E");
  });

  test("by a procedure are its own, which must not commit them itself", async () => {
    expect(transcript(await ann.ask(encodeQuery("CALL changes()")))).toEqual(["C CALL", "Z I"]);
    expect(changed()).toBe("20");
    expect(sqlStates(await ann.ask(encodeQuery("CALL commits()")))).toEqual(["2D000"]);
    const extended = await ann.ask(run("CALL changes()"), encodeSync());
    expect(expectRefusal(extended, "few-rows").get("M")).toContain("call it in a simple query");
  });

  test("within the limit are committed, and the client sees what it sees without one", async () => {
    const texts = [
      "UPDATE item SET name = 'new' WHERE id <= 5",
      "UPDATE item SET name = 'new2' WHERE id = 1 RETURNING id, name",
      "INSERT INTO log VALUES (1), (2); SELECT id FROM log; DELETE FROM log WHERE id = 1",
      "INSERT INTO log VALUES (1); SELECT 1 / 0; INSERT INTO log VALUES (2)",
      "INSERT INTO item VALUES (1, 'again')",
      "INSERT INTO late VALUES (1)",
      "INSERT INTO late VALUES (1); SELECT 1",
      "SELECT loud(1)",
      "BEGIN; INSERT INTO log VALUES (3)",
      "INSERT INTO log VALUES (4)",
      "COMMIT",
      "SAVEPOINT a; INSERT INTO log VALUES (5)",
      "CREATE TABLE fresh2 (id int); DROP TABLE fresh2",
      "SELECT count(*) FROM item WHERE name LIKE 'new%'",
      "",
    ];
    const seen: string[][] = [];
    for (const client of [await policed.connectDirectly(), await policed.connect("ann")]) {
      policed.server.psql("UPDATE item SET name = 'item ' || id; DELETE FROM log");
      const lines: string[] = [];
      for (const sql of texts) lines.push(...transcript(await client.ask(encodeQuery(sql))));
      seen.push(lines);
      await client.terminate();
    }
    expect(seen[1]).toEqual(seen[0] ?? []);
    expect(seen[0]?.join("\n")).toContain("late");
  });
});

describe("bytes", () => {
  test("of rows, COPY data and notices count", async () => {
    expect(await rowsOf(bob, "SELECT repeat('x', 250)")).toHaveLength(1);
    for (const sql of [
      "SELECT repeat('x', 300)",
      "SELECT repeat('x', 60) FROM generate_series(1, 1000)",
      "COPY (SELECT repeat('x', 300)) TO STDOUT",
      "SELECT count(loud(i)) FROM generate_series(1, 9) i",
    ]) {
      const messages = await bob.ask(encodeQuery(sql));
      const error = expectRefusal(messages, "few-bytes", "54000");
      expect(error.get("M")).toContain("at most 300 bytes");
      const sent = messages.filter(({ type }) => "DdN".includes(type)).map(({ bodyBytes }) => bodyBytes + 5);
      expect(sent.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(300);
    }
    expect(policed.server.psql("SELECT count(*) FROM log")).toBe("0");
  });

  test("that a COPY sends count, in the middle of a message too", async () => {
    for (const chunks of [[300], [100, 100, 100], [7, 7, 500]]) {
      bob.send(encodeQuery("COPY log FROM STDIN"));
      await bob.until("G");
      const lines = Buffer.from("1\n".repeat(400));
      const data = encodeCopyData(lines);
      let from = 0;
      for (const size of chunks) {
        bob.send(data.subarray(from, from + size));
        from += size;
        await Bun.sleep(1);
      }
      bob.send(data.subarray(from), encodeCopyData(lines), encodeCopyDone());
      const messages = await bob.ready();
      expectRefusal(messages, "few-bytes", "54000");
      expect(transcript(messages).at(-1)).toBe("Z I");
    }
    expect(policed.server.psql("SELECT count(*) FROM log")).toBe("0");
    expect(await rowsOf(bob, "SELECT 1")).toEqual([["1"]]);
  });
});

describe("time", () => {
  const expectLate = (messages: readonly Message[]): void => {
    expect(expectRefusal(messages, "little-time", "57014").get("M")).toContain("at most 2000 ms");
  };

  test("that is over stops the statement, and the session goes on", async () => {
    expectLate(await tim.ask(encodeQuery("SELECT pg_sleep(100)")));
    expectLate(await tim.ask(run("SELECT pg_sleep(100)"), encodeSync()));
    expectLate(await tim.ask(run("SELECT pg_sleep(100)"), run("INSERT INTO log VALUES (1)"), encodeSync()));
    await tim.ask(encodeQuery("BEGIN"));
    const messages = await tim.ask(encodeQuery("SELECT pg_sleep(100)"));
    expectLate(messages);
    expect(transcript(messages).at(-1)).toBe("Z E");
    await tim.ask(encodeQuery("ROLLBACK"));
    expect(await rowsOf(tim, "SELECT count(*) FROM log")).toEqual([["0"]]);
  });

  test("is each statement's own, also in a pipeline", async () => {
    // Together more than two seconds, and each of them far less.
    const sleeps = Array.from({ length: 12 }, () => run("SELECT pg_sleep(0.2)"));
    expect(types(await tim.ask(...sleeps, encodeSync()))).toBe(`${"12DC".repeat(sleeps.length)}Z`);
  });

  test("ends a COPY whose data does not come", async () => {
    tim.send(encodeQuery("COPY log FROM STDIN"));
    await tim.until("G");
    expectLate(await tim.ready());
    tim.send(encodeCopyData(Buffer.from("1\n")), encodeCopyDone());
    expect(await rowsOf(tim, "SELECT count(*) FROM log")).toEqual([["0"]]);
  });

  test("does not run for what the client stops itself", async () => {
    const asked = tim.ask(encodeQuery("SELECT pg_sleep(0.15)"));
    await tim.cancel();
    expect(transcript(await asked).join("\n")).toMatch(/57014|D /u);
    expect(await rowsOf(tim, "SELECT 1")).toEqual([["1"]]);
  });
});

describe("ordinary clients", () => {
  const url = async (subject: string): Promise<string> => policed.gateway.url("db", subject);

  test("pg sees an error like the server's, and goes on", async () => {
    const client = new Client({ connectionString: await url("ann") });
    await client.connect();
    const code = (query: Promise<unknown>): Promise<unknown> =>
      query.then(
        () => "done",
        (error: unknown) => (error instanceof DatabaseError ? error.code : error),
      );
    expect(await code(client.query(items(20)))).toBe("54000");
    expect(await code(client.query("SELECT id FROM item WHERE id > $1", [0]))).toBe("54000");
    expect(await code(client.query({ name: "n", text: "UPDATE item SET name = name" }))).toBe("54000");
    expect((await client.query("SELECT id FROM item WHERE id <= $1", [5])).rowCount).toBe(5);
    expect((await client.query(items(3))).rowCount).toBe(3);
    await client.end();
  });

  test("postgres.js sees it in queries, transactions and cursors", async () => {
    // Its own query about types would be too much as well, since the limit is on everything.
    const sql = postgres(await url("ann"), { max: 1, onnotice: () => undefined, fetch_types: false });
    const code = (query: Promise<unknown>): Promise<unknown> =>
      query.then(
        () => "done",
        (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
      );
    expect(await code(sql`SELECT id FROM item`)).toBe("54000");
    expect(await code(sql.begin((each) => each`UPDATE item SET name = 'new'`))).toBe("54000");
    expect([...(await sql`SELECT count(*)::int AS count FROM item WHERE name = 'new'`)]).toEqual([{ count: 0 }]);
    let seen = 0;
    await sql`SELECT id FROM item`.cursor(5, (some) => {
      seen += some.length;
    });
    expect(seen).toBe(20);
    await sql.end();
  });

  test("psql and \\copy see it", async () => {
    const road: Road = {
      name: "gateway",
      address: policed.gateway,
      login: { database: "db", password: await policed.gateway.token("ann") },
    };
    const input = "SELECT id FROM item;\n\\copy log FROM STDIN\n1\n2\n3\n4\n5\n6\n\\.\nSELECT count(*) FROM log;\n";
    const { status, stdout, stderr } = await runProgram(road, "psql", ["-X", "-A", "-t", "-q"], { input });
    expect({ status, stdout: stdout.trim() }).toEqual({ status: 0, stdout: "0" });
    expect(stderr.match(/at most 5 rows/gu)).toHaveLength(2);
  });
});

test("the log says what went over a limit", async () => {
  const error = expectRefusal(await ann.ask(encodeQuery(items(20))), "few-rows", "54000");
  const id = /\(id (\S+)\)$/u.exec(error.get("M") ?? "")?.[1] ?? "";
  for (;;) {
    const { stdout } = await policed.gateway.weir("audit", "show", id, "--json");
    if (!stdout.includes('"outcome"')) continue;
    expect(stdout).toContain('"code":"54000"');
    expect(stdout).toContain('"status":"failed"');
    expect(stdout).toContain('"rows":5');
    break;
  }
});
