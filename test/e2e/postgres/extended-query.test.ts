/** The extended query protocol through the gateway, message for message as without it: statements, portals, pipelines. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run } from "./messages.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();
const FLUSH = encodeFlush();
const INT4 = 23;
const UNIQUE_VIOLATION_ITEM = "INSERT INTO item VALUES (1, 'again')";

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({
    sql: "CREATE TABLE item (id int PRIMARY KEY, name text)",
    reset: "TRUNCATE item; INSERT INTO item VALUES (1, 'one'), (2, NULL)",
  });
});

afterAll(async () => {
  await roads.stop();
});

/** Compares the conversation in which each group of messages is sent at once, up to its last Sync's ReadyForQuery. */
async function compareGroups(...groups: readonly (readonly Uint8Array[])[]): Promise<string[]> {
  return roads.compare(async (client) => {
    for (const group of groups) {
      client.send(...group);
      await client.ready(group.filter((part) => part === SYNC || part[0] === 0x51).length);
    }
  });
}

function of(seen: readonly string[], letter: string): string[] {
  return seen.filter((line) => line.startsWith(letter));
}

/** What was received behind the login's greeting, as letters. */
function letters(seen: readonly string[]): string {
  return seen
    .map((line) => line[0])
    .join("")
    .replace(/^S+Z/u, "");
}

test("unnamed statement and portal, with and without parameters", async () => {
  const seen = await compareGroups(
    [run("SELECT id, name FROM item ORDER BY id"), SYNC],
    [run("SELECT $1::int + 1, $2::text", "41", null), SYNC],
    [run("INSERT INTO item VALUES ($1, $2)", "3", "three"), SYNC],
  );
  expect(letters(seen)).toBe("12DDCZ12DCZ12CZ");
});

test("named statements and portals, several of both", async () => {
  const seen = await compareGroups(
    [
      encodeParse("get", "SELECT name FROM item WHERE id = $1", [INT4]),
      encodeParse("all", "SELECT id FROM item"),
      SYNC,
    ],
    [bind("a", "get", ["1"]), bind("b", "get", ["2"]), encodeExecute("b"), encodeExecute("a"), SYNC],
    [bind("", "all"), encodeExecute(""), SYNC],
    [bind("a", "get", ["2"]), encodeExecute("a"), SYNC],
  );
  expect(letters(seen)).toBe("11Z22DCDCZ2DDCZ2DCZ");
});

test("describing statements and portals, also those without rows", async () => {
  const seen = await compareGroups(
    [encodeParse("s", "SELECT id, name FROM item WHERE id = $1"), encodeDescribe("statement", "s"), SYNC],
    [bind("p", "s", ["1"]), encodeDescribe("portal", "p"), encodeExecute("p"), SYNC],
    [encodeParse("w", "DELETE FROM item WHERE name = $1"), encodeDescribe("statement", "w"), SYNC],
    [bind("", "w", ["x"]), encodeDescribe("portal", ""), encodeExecute(""), SYNC],
    [
      encodeParse("", ""),
      encodeDescribe("statement", ""),
      bind("", ""),
      encodeDescribe("portal", ""),
      encodeExecute(""),
      SYNC,
    ],
  );
  expect(letters(seen)).toBe("1tTZ2TDCZ1tnZ2nCZ1tn2nIZ");
});

test("Describe of what does not exist", async () => {
  const seen = await compareGroups(
    [encodeDescribe("statement", "nobody"), SYNC],
    [encodeDescribe("portal", "nobody"), SYNC],
    [run("SELECT 1"), SYNC],
  );
  expect(letters(seen)).toBe("EZEZ12DCZ");
  expect(seen.join("\n")).toMatch(/C=26000[^]*C=34000/u);
});

test("a name that is taken is refused by the server, and keeps what it had", async () => {
  const seen = await compareGroups(
    [encodeParse("s", "SELECT 'old'"), SYNC],
    [encodeParse("s", "SELECT 'new'"), bind("", "s"), encodeExecute(""), SYNC],
    [bind("", "s"), encodeExecute(""), SYNC],
    [encodeClose("statement", "s"), encodeParse("s", "SELECT 'newer'"), bind("", "s"), encodeExecute(""), SYNC],
  );
  expect(seen.join("\n")).toContain("C=42P05");
  expect(of(seen, "D")).toEqual(["D old", "D newer"]);
});

test("Bind of an unknown statement and Execute of an unknown portal", async () => {
  const seen = await compareGroups(
    [bind("", "nobody"), encodeExecute(""), SYNC],
    [encodeExecute("nobody"), SYNC],
    [run("SELECT 'alive'"), SYNC],
  );
  expect(seen.join("\n")).toMatch(/C=26000[^]*C=34000[^]*D alive/u);
});

test("portals end with their transaction, statements do not", async () => {
  const seen = await compareGroups(
    [encodeParse("s", "SELECT generate_series(1, 3)"), bind("p", "s"), SYNC],
    [encodeExecute("p"), SYNC],
    [encodeQuery("BEGIN")],
    [bind("p", "s"), SYNC],
    [encodeExecute("p", 1), SYNC],
    [encodeExecute("p", 1), SYNC],
    [encodeQuery("COMMIT")],
    [encodeExecute("p"), SYNC],
    [bind("", "s"), encodeExecute(""), SYNC],
  );
  expect(of(seen, "D")).toEqual(["D 1", "D 2", "D 1", "D 2", "D 3"]);
});

test("Execute with a row limit is suspended and goes on", async () => {
  const seen = await compareGroups(
    [
      encodeParse("", "SELECT generate_series(1, 5)"),
      bind("p", ""),
      encodeExecute("p", 2),
      encodeExecute("p", 2),
      encodeExecute("p", 2),
      encodeExecute("p", 2),
      SYNC,
    ],
    [run("SELECT 'next'"), SYNC],
  );
  expect(letters(seen)).toBe("12DDsDDsDCCZ12DCZ");
});

test("a suspended portal can be closed, and others run in between", async () => {
  const seen = await compareGroups(
    [encodeQuery("BEGIN")],
    [encodeParse("s", "SELECT generate_series(1, 5)"), bind("p", "s"), encodeExecute("p", 2), SYNC],
    [run("INSERT INTO item VALUES (9, 'nine')"), encodeExecute("p", 1), SYNC],
    [encodeClose("portal", "p"), encodeExecute("p"), SYNC],
    [encodeQuery("ROLLBACK")],
  );
  expect(letters(seen)).toBe("CZ12DDsZ12CDsZ3EZCZ");
});

test("Close answers also for what does not exist", async () => {
  const seen = await compareGroups(
    [encodeClose("statement", "nobody"), encodeClose("portal", "nobody"), encodeClose("statement", ""), SYNC],
    [bind("", ""), SYNC],
  );
  expect(letters(seen)).toBe("333ZEZ");
});

test("a pipeline of many statements in one Sync is one transaction", async () => {
  const inserts = Array.from({ length: 50 }, (_, n) => run("INSERT INTO item VALUES ($1, $2)", `${n + 10}`, "many"));
  const seen = await compareGroups(
    [...inserts, run(UNIQUE_VIOLATION_ITEM), ...inserts, SYNC],
    [run("SELECT count(*) FROM item"), SYNC],
  );
  expect(of(seen, "D")).toEqual(["D 2"]);
});

test("an error makes the server skip to the next Sync, and each Sync ends its own part", async () => {
  const seen = await compareGroups([
    run("SELECT 1"),
    SYNC,
    run("SELECT 2"),
    run("SELECT 1/0"),
    run("SELECT 3"),
    encodeDescribe("statement", "nobody"),
    encodeClose("portal", "nobody"),
    SYNC,
    SYNC,
    run("SELECT 4"),
    SYNC,
    run("SELEC 5"),
    SYNC,
    run("SELECT 6"),
    SYNC,
  ]);
  expect(of(seen, "D")).toEqual(["D 1", "D 2", "D 4", "D 6"]);
  expect(of(seen, "Z")).toHaveLength(1 + 6);
});

test("names given in a part that failed are not given", async () => {
  const seen = await compareGroups(
    [run("SELECT 1/0"), encodeParse("skipped", "SELECT 1"), SYNC, bind("", "skipped"), encodeExecute(""), SYNC],
    [encodeParse("kept", "SELECT 'kept'"), run("SELECT 1/0"), encodeClose("statement", "kept"), SYNC],
    [bind("", "kept"), encodeExecute(""), SYNC],
  );
  expect(seen.join("\n")).toContain("C=26000");
  expect(of(seen, "D")).toEqual(["D kept"]);
});

test("names are known across Syncs that are sent at once", async () => {
  const seen = await compareGroups([
    encodeParse("s", "SELECT 's' || $1::text"),
    SYNC,
    bind("", "s", ["1"]),
    encodeExecute(""),
    SYNC,
    encodeClose("statement", "s"),
    SYNC,
    bind("", "s", ["2"]),
    encodeExecute(""),
    SYNC,
    encodeParse("s", "SELECT 't' || $1::text"),
    bind("", "s", ["3"]),
    encodeExecute(""),
    SYNC,
  ]);
  expect(of(seen, "D")).toEqual(["D s1", "D t3"]);
});

test("Flush brings answers before there is a Sync", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeParse("", "SELECT 'early'"), encodeDescribe("statement", ""), FLUSH);
    await client.until("T");
    client.send(bind("", ""), encodeExecute(""), FLUSH);
    await client.until("C");
    client.send(FLUSH, FLUSH, run("SELECT 1/0"), FLUSH);
    await client.until("E");
    // What is sent now is skipped, and the session waits for the Sync.
    client.send(run("SELECT 'skipped'"), FLUSH, SYNC);
    await client.ready();
  });
  expect(letters(seen)).toBe("1tT2DC1EZ");
});

test("nothing but Sync, Flush and Sync", async () => {
  expect(letters(await compareGroups([SYNC], [FLUSH, SYNC], [SYNC, SYNC, SYNC]))).toBe("ZZZZZ");
});

test("simple and extended queries, mixed and sent at once", async () => {
  const seen = await compareGroups([
    run("SELECT 1"),
    encodeQuery("SELECT 2"),
    run("SELECT 3"),
    SYNC,
    encodeQuery("SELECT 1/0"),
    run("SELECT 4"),
    SYNC,
    encodeQuery("SELECT 5; SELECT 6"),
  ]);
  expect(of(seen, "D")).toEqual(["D 1", "D 2", "D 3", "D 4", "D 5", "D 6"]);
});

test("a Query inside a pipeline that failed is skipped too", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(run("SELECT 1/0"), encodeQuery("SELECT 'skipped'"), SYNC);
    await client.ready();
    await client.ask(encodeQuery("SELECT 'alive'"));
  });
  expect(of(seen, "D")).toEqual(["D alive"]);
});

test("a Query replaces the unnamed statement", async () => {
  const seen = await compareGroups(
    [encodeParse("", "SELECT 'prepared'"), SYNC],
    [encodeQuery("SELECT 'simple'")],
    [bind("", ""), encodeExecute(""), SYNC],
  );
  expect(seen.join("\n")).toContain("C=26000");
});

test("statements prepared in SQL and by the protocol share their names", async () => {
  const seen = await compareGroups(
    [encodeQuery("PREPARE a (int) AS SELECT 'sql' || $1")],
    [bind("", "a", ["1"]), encodeExecute(""), SYNC],
    [encodeParse("b", "SELECT 'protocol'"), SYNC],
    [encodeQuery("EXECUTE b")],
    [encodeQuery("DEALLOCATE b")],
    [bind("", "b"), encodeExecute(""), SYNC],
    [encodeQuery("DEALLOCATE ALL")],
    [bind("", "a", ["1"]), encodeExecute(""), SYNC],
  );
  expect(of(seen, "D")).toEqual(["D sql1", "D protocol"]);
});

test("cursors declared in SQL and portals share their names", async () => {
  const seen = await compareGroups(
    [encodeQuery("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 4)")],
    [encodeExecute("c", 2), SYNC],
    [encodeQuery("FETCH 1 FROM c")],
    [encodeParse("", "SELECT 'portal'"), bind("q", ""), SYNC],
    [encodeQuery("FETCH ALL FROM q")],
    [encodeQuery("COMMIT")],
  );
  expect(of(seen, "D")).toEqual(["D 1", "D 2", "D 3", "D portal"]);
});

test("transactions over the extended protocol", async () => {
  const seen = await compareGroups(
    [run("BEGIN"), SYNC],
    [run("INSERT INTO item VALUES (3, 'three')"), run("SAVEPOINT a"), SYNC],
    [run(UNIQUE_VIOLATION_ITEM), run("SELECT 'skipped'"), SYNC],
    [run("SELECT 'refused'"), SYNC],
    [run("ROLLBACK TO a"), run("SELECT count(*) FROM item"), run("COMMIT"), SYNC],
    [run("SELECT count(*) FROM item"), SYNC],
  );
  expect(of(seen, "Z")).toEqual(["Z I", "Z T", "Z T", "Z E", "Z E", "Z I", "Z I"]);
  expect(of(seen, "D")).toEqual(["D 3", "D 3"]);
});

test("binary parameters and results", async () => {
  const int = Buffer.from([0, 0, 0, 42]);
  const seen = await compareGroups([
    encodeParse("", "SELECT $1::int4 + 1, 'text'::text, $2::text", [INT4, 25]),
    encodeBind({
      portal: "",
      statement: "",
      parameterFormats: [1, 0],
      parameters: [int, Buffer.from("x")],
      resultFormats: [1, 0, 1],
    }),
    encodeDescribe("portal", ""),
    encodeExecute(""),
    SYNC,
  ]);
  expect(of(seen, "D")).toEqual(["D \\u0000\\u0000\\u0000+ | text | x"]);
});

test("parameters that do not fit are the server's errors", async () => {
  const seen = await compareGroups(
    [encodeParse("s", "SELECT $1::int", [INT4]), SYNC],
    [bind("", "s", ["not a number"]), encodeExecute(""), SYNC],
    [bind("", "s", []), encodeExecute(""), SYNC],
    [bind("", "s", ["1"], { parameterFormats: [1] }), encodeExecute(""), SYNC],
    [bind("", "s", ["7"]), encodeExecute(""), SYNC],
  );
  expect(of(seen, "D")).toEqual(["D 7"]);
  expect(of(seen, "E")).toHaveLength(3);
});

test("several statements in one Parse are the server's error", async () => {
  const seen = await compareGroups([run("SELECT 1; SELECT 2"), SYNC], [run("SELECT 3"), SYNC]);
  expect(seen.join("\n")).toContain("C=42601");
});

test("a statement whose result changed its shape", async () => {
  const seen = await roads.compare(async (client) => {
    await roads.admin("DROP TABLE IF EXISTS shape; CREATE TABLE shape (a int)");
    client.send(encodeParse("s", "SELECT * FROM shape"), bind("", "s"), encodeExecute(""), SYNC);
    await client.ready();
    // By the session itself, so that the gateway knows when it happened.
    await client.ask(encodeQuery("ALTER TABLE shape ADD b int"));
    client.send(bind("", "s"), encodeExecute(""), SYNC);
    await client.ready();
  });
  expect(seen.join("\n")).toContain("C=0A000");
});

test("thousands of statements in flight", async () => {
  const seen = await roads.compare(async (client) => {
    const parts: Uint8Array[] = [encodeParse("s", "SELECT $1::int"), SYNC];
    for (let n = 0; n < 3000; n++) {
      parts.push(bind("", "s", [`${n}`]), encodeExecute(""));
      if (n % 10 === 9) parts.push(SYNC);
    }
    client.send(...parts);
    await client.ready(301);
  });
  expect(of(seen, "D")).toHaveLength(3000);
});

test("the session goes on after a client that sent nothing but errors", async () => {
  const errors: ((client: WireClient) => void)[] = [
    (client) => client.send(encodeDescribe("portal", "x"), bind("", "x"), encodeExecute("x"), SYNC),
    (client) => client.send(run("BROKEN"), run("BROKEN"), SYNC),
    (client) => client.send(encodeExecute("x"), FLUSH, encodeExecute("x"), FLUSH, SYNC),
  ];
  const seen = await roads.compare(async (client) => {
    for (const send of errors) {
      send(client);
      await client.ready();
    }
    await client.ask(encodeQuery("SELECT 'alive'"));
  });
  expect(of(seen, "E")).toHaveLength(3);
  expect(of(seen, "D")).toEqual(["D alive"]);
});
