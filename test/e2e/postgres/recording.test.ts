/** What a gateway records of PostgreSQL's sessions is what their clients sent and saw. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { Client } from "pg";
import {
  encodeCopyData,
  encodeCopyDone,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { newAuditor } from "../../recordings.ts";
import { lastOf, recorded as recordedIn } from "../../contract/recorded.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { bind, run } from "./messages.ts";
import { keptLines, linesOf, recordingsOf } from "./recorded.ts";
import { errorIn, rows, types } from "./transcript.ts";
import { TEST_TIME_MS_MAX, WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();
/** pg_proc.dat: abs(int4) and textlen(text). */
const ABS = 1397;
const TEXTLEN = 1257;
const PERMIT = "target: { any: true }, action: { any: true }, allowOpaque: true";
const ITEMS = "action: { postgres: { relations: [public.item] } }";

let server: PostgresServer;
let gateway: Gateway;

/** Groups: what of a session is recorded. `items`: only what touches the table item. */
const FILES = {
  "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n",
  "vocabulary.yaml":
    "apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups: { both: both, in: in, out: out, items: items, raw: raw, few: few }\n",
  "permits/all.yaml": `apiVersion: weir.dev/v1\nkind: Permits\nrules:\n  - { id: all, subject: { any: true }, ${PERMIT} }\n`,
  "guards/record.yaml": `apiVersion: weir.dev/v1
kind: Guards
rules:
  - { id: both, subject: { groups: [both, few] }, action: { any: true }, oblige: { record: [input, output] } }
  - { id: in, subject: { groups: [in] }, action: { any: true }, oblige: { record: [input] } }
  - { id: out, subject: { groups: [out] }, action: { any: true }, oblige: { record: [output] } }
  - { id: items, subject: { groups: [items] }, ${ITEMS}, oblige: { record: [input, output] } }
  - { id: raw, subject: { groups: [raw] }, ${ITEMS}, oblige: { record: [raw] } }
  - { id: few, subject: { groups: [few] }, action: { any: true }, oblige: { limit: { rows: 2 } } }
  - { id: secret, target: { names: [masked] }, action: { postgres: { columns: [public.item.secret] } }, oblige: { mask: [{ with: redact }] } }
  - { id: words, target: { names: [masked] }, action: { postgres: { relations: [public.note] } }, oblige: { mask: [{ classifiers: [email], with: redact }] } }
`,
};

beforeAll(async () => {
  server = await startPostgres({
    sql: `CREATE TABLE item (id int PRIMARY KEY, name text, raw bytea, secret text DEFAULT 'canary-secret');
      INSERT INTO item VALUES (1, 'one', '\\x00ff'), (2, NULL, NULL), (3, 'dreißig 💶', '\\x');
      CREATE TABLE plain (id int); INSERT INTO plain VALUES (1);
      CREATE TABLE note (words text); INSERT INTO note VALUES ('to canary@shop.example');`,
  });
  const { recipient } = await newAuditor();
  gateway = await startGateway({
    postgres: server,
    policyFiles: FILES,
    config: { audit: { durability: "strict", seal: { recipients: [recipient] } } },
    targets: {
      masked: {
        postgres: { host: server.host, port: server.port, database: "postgres", user: "postgres", tls: "disable" },
        masking: { mode: "inline", searchPath: ["public"] },
      },
    },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
});

let subjects = 0;

/** The lines of one session; `group` is what of it is recorded. */
async function recorded(
  group: string,
  work: (client: WireClient) => Promise<unknown>,
  database = "db",
): Promise<{ lines: string[]; subject: string }> {
  const subject = `s${++subjects}`;
  const client = await logIn(subject, group, database);
  await work(client);
  await client.terminate();
  return { lines: await linesOf(gateway, subject), subject };
}

async function logIn(subject: string, group: string, database = "db"): Promise<WireClient> {
  return WireClient.logIn(gateway, { database, password: await gateway.token(subject, "human", [group]) });
}

function recordingsFile(): Buffer {
  const data = join(gateway.folder, "data");
  return Buffer.concat(["recordings.db", "recordings.db-wal"].map((name) => readIfThere(join(data, name))));
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

describe("input and output", () => {
  test("of simple queries, several statements in one, and errors", async () => {
    const { lines } = await recorded("both", async (client) => {
      await client.ask(encodeQuery("SELECT id, name, raw FROM item ORDER BY id; SELECT id FROM plain WHERE id = 7"));
      await client.ask(encodeQuery("UPDATE plain SET id = 1"));
      await client.ask(encodeQuery(""));
      await client.ask(encodeQuery("SELECT 10 / (id - 2) AS q FROM item ORDER BY id"));
      await client.ask(encodeQuery("SELEC"));
      await client.ask(encodeQuery("DO $$ BEGIN RAISE NOTICE 'hello'; END $$"));
    });
    expect(lines).toEqual([
      "> SELECT id, name, raw FROM item ORDER BY id; SELECT id FROM plain WHERE id = 7",
      "= id | name | raw",
      '  ["1","one","\\\\x00ff"]\n  ["2",null,null]\n  ["3","dreißig 💶","\\\\x"]',
      "= id",
      "< done 3",
      "> UPDATE plain SET id = 1",
      "< done 1",
      "> ",
      "< done",
      "> SELECT 10 / (id - 2) AS q FROM item ORDER BY id",
      "< failed 22012 division by zero",
      "> SELEC",
      '< failed 42601 syntax error at or near "SELEC"',
      "> DO $$ BEGIN RAISE NOTICE 'hello'; END $$",
      "(NOTICE: hello\nCONTEXT: PL/pgSQL function inline_code_block line 1 at RAISE)",
      "< done",
    ]);
  });

  test("of the extended protocol: parameters, binary values, parts of a portal, a prepared statement, a portal that is not there", async () => {
    const { lines } = await recorded("both", async (client) => {
      const four = Buffer.from([0, 0, 0, 1]);
      await client.ask(
        encodeParse("s", "SELECT id, name FROM item WHERE id >= $1::int AND name IS DISTINCT FROM $2 ORDER BY id"),
        SYNC,
      );
      const parts = await client.ask(
        bind("p", "s", [], { parameters: [four, null], parameterFormats: [1], resultFormats: [1, 0] }),
        encodeExecute("p", 2),
        encodeExecute("p", 0),
        SYNC,
      );
      expect(types(parts)).toBe("2DDsCZ");
      await client.ask(run("SELECT 1/0"), SYNC);
      await client.ask(encodeExecute("nothing"), SYNC);
    });
    const text = "SELECT id, name FROM item WHERE id >= $1::int AND name IS DISTINCT FROM $2 ORDER BY id";
    const input = `> ${text} ["\\\\x00000001",null]`;
    expect(lines).toEqual([
      `> ${text}`,
      "(prepared or bound, and not run)",
      "< done",
      input,
      "= id | name",
      '  ["\\\\x00000001","one"]\n  ["\\\\x00000003","dreißig 💶"]',
      "< done",
      input,
      "= id | name",
      "< done 0",
      "> SELECT 1/0",
      "< failed 22012 division by zero",
      '> (portal "nothing", which the gateway has not seen)',
      '< failed 34000 portal "nothing" does not exist',
    ]);
  });

  test("of cursors, a function call, and a client that describes by itself", async () => {
    const { lines } = await recorded("both", async (client) => {
      await client.ask(encodeQuery("BEGIN; DECLARE c BINARY CURSOR FOR SELECT id FROM item ORDER BY id"));
      await client.ask(encodeQuery("FETCH 2 FROM c"));
      await client.ask(encodeQuery("COMMIT"));
      await client.ask(
        encodeFunctionCall({
          functionOid: ABS,
          argumentFormats: [],
          arguments: [Buffer.from("-3")],
          resultFormat: 0,
        }),
      );
      const answer = await client.ask(
        encodeParse("", "SELECT 1 AS one"),
        bind("", ""),
        encodeDescribe("portal", ""),
        encodeExecute(""),
        SYNC,
      );
      expect(types(answer)).toBe("12TDCZ");
    });
    expect(lines).toEqual([
      "> BEGIN; DECLARE c BINARY CURSOR FOR SELECT id FROM item ORDER BY id",
      "< done",
      "> FETCH 2 FROM c",
      "= id",
      '  ["\\\\x00000001"]\n  ["\\\\x00000002"]',
      "< done 2",
      "> COMMIT",
      "< done",
      '> (function call of pg_catalog.abs) ["-3"]',
      '  ["3"]',
      "< done",
      "> SELECT 1 AS one",
      "= one",
      '  ["1"]',
      "< done 1",
    ]);
  });

  test("of COPY in both directions and formats", async () => {
    const { lines } = await recorded("both", async (client) => {
      await client.ask(encodeQuery("COPY item (id, name) TO STDOUT"));
      await client.ask(encodeQuery("COPY plain TO STDOUT (FORMAT binary)"));
      const euro = Buffer.from("€");
      client.send(
        encodeQuery("CREATE TEMP TABLE t (a text); COPY t FROM STDIN"),
        encodeCopyData(Buffer.concat([Buffer.from("a\n"), euro.subarray(0, 2)])),
        encodeCopyData(Buffer.concat([euro.subarray(2), Buffer.from("\n")])),
        encodeCopyDone(),
      );
      await client.ready();
      const failed = client.ask(
        Buffer.concat([run("COPY plain FROM STDIN"), encodeFlush()]),
        encodeCopyData(Buffer.from("x\n")),
        encodeCopyDone(),
        SYNC,
      );
      await failed;
    });
    expect(lines).toEqual([
      "> COPY item (id, name) TO STDOUT",
      "= COPY data",
      '  ["1\\tone\\n"]\n  ["2\\t\\\\N\\n"]\n  ["3\\tdreißig 💶\\n"]',
      "(COPY: the client got 27 bytes in 3 messages)",
      "< done 3",
      "> COPY plain TO STDOUT (FORMAT binary)",
      "= COPY data, binary",
      expect.stringMatching(/^ {2}\["\\\\x5047434f50590a/u),
      expect.stringMatching(/^\(COPY: the client got 31 bytes in \d messages\)$/u),
      "< done 1",
      "> CREATE TEMP TABLE t (a text); COPY t FROM STDIN",
      '> (COPY data) ["a\\n"]',
      '> (COPY data) ["€"]',
      '> (COPY data) ["\\n"]',
      "(COPY: the client sent 6 bytes in 2 messages)",
      "< done 2",
      "> COPY plain FROM STDIN",
      '> (COPY data) ["x\\n"]',
      "(COPY: the client sent 2 bytes in 1 messages)",
      expect.stringContaining('< failed 22P02 invalid input syntax for type integer: "x"\nCONTEXT: COPY plain, line 1'),
    ] as never);
  });

  test("of an operation that passes a limit: what the client got, and why no more", async () => {
    const { lines } = await recorded("few", async (client) => {
      const answer = await client.ask(encodeQuery("SELECT id FROM item ORDER BY id"));
      const seen = rows(answer).length;
      expect(seen).toBeLessThan(3);
    });
    expect(lines[0]).toBe("> SELECT id FROM item ORDER BY id");
    expect(lines.join("\n")).not.toContain('["3"]');
    expect(lines.at(-1)).toMatch(/^< failed 54000 .*2 rows/su);
  });

  test("of a driver, as replay shows it", async () => {
    const subject = "replayed";
    const client = new Client({ connectionString: await gateway.url("db", subject, "human", ["both"]) });
    await client.connect();
    await client.query("SELECT name FROM item WHERE id = $1", [1]);
    await client.end();
    await keptLines(gateway, subject);
    const [facts] = recordingsOf(gateway, subject);
    const { status, stdout } = await gateway.weir("audit", "replay", facts?.session ?? "");
    expect(status).toBe(0);
    expect(stdout).toContain("> SELECT name FROM item WHERE id = $1\n    $1 = '1'\n    name\n    'one'\n");
    expect(stdout).toMatch(/< done, 1 row\n/u);
  });
});

describe("what is recorded", () => {
  test("input alone has no rows, no COPY data that the client gets, and no words of the server", async () => {
    const { lines } = await recorded("in", async (client) => {
      await client.ask(encodeQuery("SELECT id FROM item"));
      await client.ask(encodeQuery("COPY plain TO STDOUT"));
      await client.ask(encodeQuery("SELECT name::int FROM item"));
    });
    expect(lines).toEqual([
      "> SELECT id FROM item",
      "< done 3",
      "> COPY plain TO STDOUT",
      "(COPY: what the client gets is not recorded)",
      "< done 1",
      "> SELECT name::int FROM item",
      "< failed 22P02",
    ]);
  });

  test("output alone has no statements and no COPY data that the client sends", async () => {
    const { lines } = await recorded("out", async (client) => {
      await client.ask(encodeQuery("SELECT 'x' AS a"));
      client.send(encodeQuery("CREATE TEMP TABLE t (a text)"), encodeQuery("COPY t FROM STDIN"));
      await client.ready();
      client.send(encodeCopyData(Buffer.from("secret\n")), encodeCopyDone());
      await client.ready();
    });
    expect(lines).toEqual([
      "= a",
      '  ["x"]',
      "< done 1",
      "< done",
      "(COPY: the client sent 7 bytes in 1 messages, which are not recorded)",
      "< done 1",
    ]);
  });

  test("only the operations that a rule speaks of, and of other sessions nothing at all", async () => {
    const { lines } = await recorded("items", async (client) => {
      await client.ask(encodeQuery("SELECT id FROM plain"));
      await client.ask(encodeQuery("SELECT id FROM item WHERE id = 1"));
      await client.ask(run("SELECT id FROM plain"), SYNC);
    });
    expect(lines).toEqual(["> SELECT id FROM item WHERE id = 1", "= id", '  ["1"]', "< done 1"]);
    const client = await logIn("nobody", "none");
    await client.ask(encodeQuery("SELECT id FROM item"));
    await client.terminate();
    expect(recordingsOf(gateway, "nobody")).toEqual([]);
  });

  test("of what is only sealed nothing is in the clear", async () => {
    const { lines } = await recorded("raw", (client) => client.ask(encodeQuery("SELECT id FROM item")));
    expect(lines).toEqual([]);
  });

  test("masked columns and masked contents are masked in it, in rows, COPY data and errors", async () => {
    const { lines } = await recorded(
      "both",
      async (client) => {
        await client.ask(encodeQuery("SELECT id, secret FROM item WHERE id = 1"));
        await client.ask(run("SELECT secret FROM item WHERE id = 1"), SYNC);
        await client.ask(encodeQuery("SELECT secret::int FROM item"));
        await client.ask(encodeQuery("COPY (SELECT secret FROM item WHERE id = 1) TO STDOUT"));
        await client.ask(encodeQuery("SELECT words FROM note"));
        await client.ask(run("SELECT words FROM note"), SYNC);
        await client.ask(encodeQuery("COPY note TO STDOUT"));
      },
      "masked",
    );
    expect(lines).toEqual([
      "> SELECT id, secret FROM item WHERE id = 1",
      "= id | secret",
      '  ["1","***"]',
      "< done 1",
      "> SELECT secret FROM item WHERE id = 1",
      "= secret",
      '  ["***"]',
      "< done 1",
      "> SELECT secret::int FROM item",
      expect.stringContaining("***"),
      "> COPY (SELECT secret FROM item WHERE id = 1) TO STDOUT",
      "= COPY data",
      '  ["***\\n"]',
      "(COPY: the client got 4 bytes in 1 messages)",
      "< done 1",
      "> SELECT words FROM note",
      "= words",
      '  ["to ***"]',
      "< done 1",
      "> SELECT words FROM note",
      "= words",
      '  ["to ***"]',
      "< done 1",
      "> COPY note TO STDOUT",
      "= COPY data",
      '  ["to ***\\n"]',
      "(COPY: the client got 7 bytes in 1 messages)",
      "< done 1",
    ] as never);
    expect(recordingsFile().includes("canary")).toBe(false);
    expect(recordingsFile().includes("dreißig")).toBe(true);
  });
});

describe("what is long", () => {
  test("a value that is cut says so, and the client gets all of it", async () => {
    const { lines } = await recorded("both", async (client) => {
      const [, row] = await client.ask(encodeQuery("SELECT 1 AS a, repeat('x', 3000000) AS b, 2 AS c, NULL AS d"));
      expect(row?.bodyBytes).toBe(2 + 4 + 1 + 4 + 3_000_000 + 4 + 1 + 4);
      await client.ask(encodeQuery("SELECT 2"));
    });
    const [input, columns, cut, note, ...rest] = lines;
    expect([input, columns, ...rest]).toEqual([
      "> SELECT 1 AS a, repeat('x', 3000000) AS b, 2 AS c, NULL AS d",
      "= a | b | c | d",
      "< done 1",
      "> SELECT 2",
      "= ?column?",
      '  ["2"]',
      "< done 1",
    ]);
    expect(cut).toMatch(/^ {2}\["1","x{500000,600000}"\]$/u);
    expect(note).toBe("(this row has 3000020 bytes: its last value here is cut, and 2 more values are left out)");
  });

  test("COPY data in long messages is recorded in pieces, all of it", async () => {
    const line = `${"ä".repeat(200_000)}\n`;
    const { lines } = await recorded("both", async (client) => {
      client.send(encodeQuery("CREATE TEMP TABLE t (a text); COPY t FROM STDIN"), encodeCopyData(Buffer.from(line)));
      client.send(encodeCopyDone());
      await client.ready();
      await client.ask(encodeQuery("COPY t TO STDOUT"));
    });
    const at = lines.findIndex((text) => text.startsWith("> COPY t TO"));
    const sent = lines.slice(1, at - 2).flatMap((text) => JSON.parse(text.slice("> (COPY data) ".length)) as string[]);
    expect(sent.join("")).toBe(line);
    const got = lines
      .slice(at + 2, -2)
      .flatMap((text) => text.split("\n"))
      .flatMap((row) => JSON.parse(row) as string[]);
    expect(got.join("")).toBe(line);
  });

  test("parameters that are streamed, to a Bind and to a function, stand with them", async () => {
    const long = "y".repeat(300_000);
    const { lines } = await recorded("both", async (client) => {
      const answer = await client.ask(run("SELECT length($1::text), $2::text", long, "b"), SYNC);
      expect(rows(answer)).toEqual([["300000", "b"]]);
      await client.ask(run("SELECT length($1::text), $2::text", "z".repeat(2_000_000), "b"), SYNC);
      await client.ask(
        encodeFunctionCall({
          functionOid: TEXTLEN,
          argumentFormats: [],
          arguments: [Buffer.from(long)],
          resultFormat: 0,
        }),
      );
    });
    expect(lines).toContain(`> (function call of pg_catalog.textlen) ${JSON.stringify([long])}`);
    const text = "> SELECT length($1::text), $2::text";
    const bindLine = `${text} ${JSON.stringify([long, "b"])}`;
    expect(lines.filter((line) => line === bindLine)).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith("(its parameters are those of the Bind"))).toHaveLength(2);
    expect(lines).toContain(
      "(the last of these parameters is cut, and 1 more are left out: they have 2000015 bytes in all)",
    );
    expect(lines).toContain('  ["2000000","b"]');
  });
});

describe("a recorder that", () => {
  const LONG = "SELECT n, repeat('x', 1000) FROM generate_series(1, 40000) AS n";
  const LONG_BYTES = 40_000_000;
  const WAITING_BYTES_MAX = 16 * 1024 * 1024;

  function received(client: WireClient): number {
    return client.received.reduce((bytes, message) => bytes + message.bodyBytes, 0);
  }

  /** The writer of recordings waits for two seconds, and has failed then. */
  const LOCKED_MS_MAX = 1_700;

  /** Lets nobody write to the file of recordings. `release` answers for how long that was. */
  function lock(): { release(): number } {
    const database = new Database(join(gateway.folder, "data", "recordings.db"));
    database.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
    const atMs = performance.now();
    return {
      release: () => {
        database.exec("ROLLBACK");
        const lockedMs = performance.now() - atMs;
        database.close();
        return lockedMs;
      },
    };
  }

  /**
   * Does something with a session that is recorded, for which nobody can write to the file, and answers with its subject.
   * `work` answers for how long that was: while this machine takes longer than the recorder waits, it is done again.
   */
  async function inTime(name: string, group: string, work: (client: WireClient) => Promise<number>): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      const subject = `${name}${attempt}`;
      const client = await logIn(subject, group);
      // Refused, for a moment, where the attempt before has made the recorder fail.
      const answer = await client.ask(encodeQuery("SELECT 1")).catch(() => null);
      const isRecorded = answer !== null && errorIn(answer) === undefined;
      if (isRecorded && (await work(client)) <= LOCKED_MS_MAX) return subject;
      client.abandon();
    }
  }

  test("is slow makes the server wait, and loses nothing", async () => {
    const subject = await inTime("slow", "both", async (client) => {
      const locked = lock();
      client.send(encodeQuery(LONG));
      let before = -1;
      for (let bytes = 0; !client.isEnded && (bytes !== before || bytes < 1_000_000); bytes = received(client)) {
        before = bytes;
        await Bun.sleep(200);
      }
      expect(before).toBeLessThan(WAITING_BYTES_MAX);
      const lockedMs = locked.release();
      if (lockedMs > LOCKED_MS_MAX) return lockedMs;
      await client.until("Z");
      expect(received(client)).toBeGreaterThan(LONG_BYTES);
      await client.terminate();
      return lockedMs;
    });
    const kept = await keptLines(gateway, subject);
    const numbers = kept.flatMap((line) => (line.kind === "rows" ? line.rows.map(([n]) => Number(n)) : []));
    expect(numbers).toEqual([1, ...Array.from({ length: 40_000 }, (_, index) => index + 1)]);
    expect(kept.at(-1)).toMatchObject({ kind: "end", status: "done", rows: 40_000 });
  });

  test("is slow makes the client wait as well, and loses nothing of its COPY data", async () => {
    const part = encodeCopyData(Buffer.from(`${"y".repeat(65_535)}\n`));
    const parts = 640;
    const subject = await inTime("patient", "in", async (client) => {
      client.send(encodeQuery("CREATE TEMP TABLE t (a text); COPY t FROM STDIN"));
      await client.until("G");
      const locked = lock();
      const sent: number[] = [];
      const sending = (async () => {
        while (sent.length < parts) {
          await client.sendAll(part);
          sent.push(part.length);
        }
      })().catch(() => undefined);
      let before = -1;
      for (let count = 0; !client.isEnded && (count !== before || count === 0); count = sent.length) {
        before = count;
        await Bun.sleep(200);
      }
      expect(sent.length * part.length).toBeLessThan(2 * WAITING_BYTES_MAX);
      const lockedMs = locked.release();
      if (lockedMs > LOCKED_MS_MAX) return lockedMs;
      await sending;
      client.send(encodeCopyDone());
      await client.until("Z");
      await client.terminate();
      return lockedMs;
    });
    const kept = await keptLines(gateway, subject);
    const pieces = kept.flatMap((line) => (line.kind === "input" ? (line.parameters ?? []) : []));
    expect(pieces.reduce((length, piece) => length + (piece?.length ?? 0), 0)).toBe(parts * 65_536);
    expect(kept.at(-1)).toMatchObject({ kind: "end", status: "done", rows: parts });
  });

  test("fails in the middle of a result ends the session, and nothing more flows", async () => {
    const client = await logIn("failing", "both");
    await client.ask(encodeQuery("SELECT 1"));
    const other = await logIn("other", "none");
    const locked = lock();
    try {
      client.send(encodeQuery(LONG));
      await client.whenEnded;
      expect(received(client)).toBeLessThan(WAITING_BYTES_MAX);
      const error = errorIn(client.received);
      expect([error?.get("S"), error?.get("C")]).toEqual(["FATAL", "58030"]);
      expect(rows(await other.ask(encodeQuery("SELECT 'still here'")))).toEqual([["still here"]]);
    } finally {
      locked.release();
    }
    await other.terminate();
    // Most of the result never went on, so the statement was not done.
    const { outcome } = await recordedIn(gateway, lastOf("failing"));
    expect(outcome).toBe("unknown");
  });
});
