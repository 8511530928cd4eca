/** Comparing masked columns with parameters: what an execution costs, what is recorded, and every way to run one uncounted. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { Comparing, comparingPolicy, KNOWN, MODES } from "./comparing.ts";
import { bind, run, runNamed } from "./messages.ts";
import { expectRefusal } from "./policed.ts";
import { keptLines } from "./recorded.ts";
import { errorIn, rows, sqlStates, types } from "./transcript.ts";
import type { Message, WireClient } from "./wire-client.ts";

setDefaultTimeout(240_000);

/** Of a minute, and what is said when they are used up. */
const RATE = 20;
const USED_UP = "comparisons with the masked column app.customers.email";

const SYNC = encodeSync();
const LOOKUP = "SELECT id, email, city FROM customers WHERE email = $1";
const FOUND = [["2", "***", "Ulm"]];

const INPUT_RECORDED = `  - id: recorded
    subject: { names: [rec, rec-inline] }
    action: { any: true }
    oblige: { record: [input, output] }
  - id: twice
    subject: { names: [twice, twice-inline] }
    action: { postgres: { compared: [app.customers.email] } }
    oblige: { limit: { rate: 2/1h } }
  - id: never-phones
    subject: { names: [nophone, nophone-inline] }
    action: { postgres: { compared: [app.customers.phone] } }
    deny: phones are looked up by people
  - id: raw
    subject: { names: [raw, raw-inline] }
    action: { any: true }
    oblige: { record: [raw] }`;

let folder: string;
let world: Comparing;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-equality-"));
  world = await Comparing.start({
    folder,
    policyFiles: comparingPolicy("equality", INPUT_RECORDED),
    config: { audit: { durability: "relaxed", seal: { recipients: [RECIPIENT] } } },
  });
});

afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Nobody keeps what it would open. */
const RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

function expectUsedUp(messages: readonly Message[]): void {
  const error = expectRefusal(messages, null, "53400");
  expect(error.get("M")).toContain(USED_UP);
  expect(error.get("M")).toContain("the gateway allows");
  expect(error.get("H")).toStartWith("Free again in ");
}

async function spend(client: WireClient, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    const answer = await client.ask(run(LOOKUP, `nobody-${time}@example.com`), SYNC);
    expect(types(answer)).toBe("12CZ");
  }
}

describe.each(MODES)("%s", (mode) => {
  const named = (name: string): string => (mode === "guarded" ? name : `${name}-inline`);

  test("each execution counts, across sessions and columns apart, and what is used up is said", async () => {
    const subject = named("count");
    const [one, other] = [await world.connect(mode, subject), await world.connect(mode, subject)];
    // A statement that is prepared, described and bound has asked nothing.
    for (let time = 0; time < RATE + 5; time++) {
      const answer = await one.ask(
        encodeParse("", LOOKUP),
        encodeDescribe("statement", ""),
        bind("", "", [KNOWN]),
        SYNC,
      );
      expect(types(answer)).toBe("1tT2Z");
    }
    await spend(one, RATE / 2);
    await spend(other, RATE / 2 - 1);
    expect(rows(await other.ask(run(LOOKUP, KNOWN), SYNC))).toEqual(FOUND);
    expectUsedUp(await one.ask(run(LOOKUP, KNOWN), SYNC));
    expectUsedUp(await other.ask(run(LOOKUP, KNOWN), SYNC));
    // Another column has its own; other statements go on.
    const phone = "SELECT id FROM customers WHERE phone = $1";
    expect(rows(await one.ask(run(phone, `+49 ${KNOWN}`), SYNC))).toEqual([["2"]]);
    expect(rows(await one.ask(run("SELECT count(*) FROM customers"), SYNC))).toEqual([["4"]]);
    const third = await world.connect(mode, named("count-other"));
    expect(rows(await third.ask(run(LOOKUP, KNOWN), SYNC))).toEqual(FOUND);
    for (const client of [one, other, third]) await client.terminate();
  });

  test("in one pipeline each counts too, and the first that is too much fails the rest", async () => {
    const client = await world.connect(mode, named("pipeline"));
    const parse = encodeParse("s", LOOKUP);
    const batch = Array.from({ length: RATE + 5 }, (_, at) => runNamed("s", `p${at}@example.com`));
    const answer = await client.ask(parse, ...batch, SYNC);
    expect(types(answer)).toBe(`1${"2C".repeat(RATE)}EZ`);
    expectUsedUp(answer);
    await client.terminate();
  });

  test("one that fails has been counted", async () => {
    const client = await world.connect(mode, named("failing"));
    const failing = "SELECT 1 / (id - 2) FROM customers WHERE email = $1";
    for (let time = 0; time < RATE; time++) {
      expect(sqlStates(await client.ask(run(failing, KNOWN), SYNC))).toEqual(["22012"]);
    }
    expectUsedUp(await client.ask(run(failing, KNOWN), SYNC));
    await client.terminate();
  });

  test("a portal that goes on is one guess, and one that was refused stays refused", async () => {
    const client = await world.connect(mode, named("portal"));
    const people = "SELECT id FROM people WHERE email = $1 ORDER BY id";
    for (let time = 0; time < RATE; time++) {
      const steps = [encodeExecute("p", 1), encodeExecute("p", 1), encodeExecute("p", 1)];
      const answer = await client.ask(encodeParse("", people), bind("p", "", [KNOWN]), ...steps, SYNC);
      expect(rows(answer)).toEqual([["2"], ["12"]]);
    }
    await client.ask(encodeQuery("BEGIN"));
    await client.ask(encodeParse("", people), bind("held", "", ["ann@example.com"]), SYNC);
    for (let time = 0; time < 3; time++) {
      await client.ask(encodeQuery("SAVEPOINT s"));
      const refused = await client.ask(encodeExecute("held", 1), SYNC);
      expect(errorIn(refused)?.get("M")).toContain("comparisons with the masked column app.people.email");
      await client.ask(encodeQuery("ROLLBACK TO s"));
    }
    await client.terminate();
  });

  test("no other road runs it", async () => {
    const client = await world.connect(mode, named("roads"));
    const refused = async (says: string, ...parts: readonly Uint8Array[]): Promise<void> => {
      const answer = await client.ask(...parts);
      const error = errorIn(answer);
      expect({ code: error?.get("C"), message: error?.get("M") }).toEqual({
        code: expect.stringMatching(/^(?:42501|42601)$/u),
        message: expect.stringContaining(says),
      });
      expect(rows(answer)).toEqual([]);
    };
    await client.ask(encodeParse("s", LOOKUP), SYNC);
    await refused("only compare it with a parameter", encodeQuery(`EXECUTE s('${KNOWN}')`));
    await refused("only compare it with a parameter", encodeQuery(`EXPLAIN ANALYZE EXECUTE s('${KNOWN}')`));
    await refused("parameter of the extended protocol", encodeQuery(LOOKUP));
    await refused("only compare it", encodeQuery(`PREPARE q(text) AS ${LOOKUP}`));
    await refused("only compare it", encodeQuery(LOOKUP.replace("$1", `'${KNOWN}'`)));
    await refused("only compare it", encodeQuery(`${LOOKUP}; SELECT 1`));
    await client.ask(encodeQuery("BEGIN"));
    await client.ask(bind("p", "s", [KNOWN]), SYNC);
    for (const sql of ["FETCH ALL FROM p", "MOVE 1 IN p", "FETCH ABSOLUTE 1 FROM p"]) {
      await client.ask(encodeQuery("SAVEPOINT a"));
      await refused("run by the protocol's Execute alone", encodeQuery(sql));
      await client.ask(encodeQuery("ROLLBACK TO a"));
    }
    await client.ask(encodeClose("portal", "p"), SYNC);
    await client.ask(encodeQuery("ROLLBACK"));
    const oid = world.server.psql("SELECT oid FROM pg_proc WHERE proname = 'app.customers.email ='", "original");
    const call = { functionOid: Number(oid), argumentFormats: [], arguments: [Buffer.from(KNOWN)], resultFormat: 0 };
    await refused("", encodeFunctionCall(call));
    await client.terminate();
  });

  test("a parameter may be declared as what the column is, and as nothing else", async () => {
    const client = await world.connect(mode, named("types"));
    const as = (sql: string, type: number, value: string): Promise<readonly Message[]> =>
      client.ask(encodeParse("", sql, [type]), runNamed("", value), SYNC);
    const [text, varchar, int2, int4, int8, bpchar, name, numeric] = [25, 1043, 21, 23, 20, 1042, 19, 1700];
    const other = "declared as another type";
    for (const type of [0, text, varchar]) expect(rows(await as(LOOKUP, type, KNOWN))).toEqual(FOUND);
    for (const type of [int4, bpchar, name]) expect(errorIn(await as(LOOKUP, type, "1"))?.get("M")).toContain(other);
    const account = "SELECT id FROM customers WHERE account = $1";
    for (const type of [0, int2, int4, int8]) expect(rows(await as(account, type, "8000"))).toEqual([["2"]]);
    for (const type of [numeric, text]) expect(errorIn(await as(account, type, "8"))?.get("M")).toContain(other);
    const citext = Number(world.server.psql("SELECT 'ext.citext'::regtype::oid", "original"));
    expect(errorIn(await as(LOOKUP, citext, "a"))?.get("M")).toContain(other);
    // In binary as in text, and NULL finds nothing.
    const value = Buffer.alloc(8);
    value.writeBigInt64BE(8000n);
    const binary = bind("", "", [], { parameterFormats: [1], parameters: [value], resultFormats: [1] });
    const answer = await client.ask(encodeParse("", account), binary, encodeExecute(""), SYNC);
    expect(types(answer)).toBe("12DCZ");
    expect(types(await client.ask(run(LOOKUP, null), SYNC))).toBe("12CZ");
    await client.terminate();
  });

  test("policy may be stricter: by its own rates, and by rules about comparing", async () => {
    const twice = await world.connect(mode, named("twice"));
    for (let time = 0; time < 2; time++) expect(rows(await twice.ask(run(LOOKUP, KNOWN), SYNC))).toEqual(FOUND);
    expectRefusal(await twice.ask(run(LOOKUP, KNOWN), SYNC), "twice", "53400");
    expect(rows(await twice.ask(run("SELECT id FROM customers WHERE id = 2"), SYNC))).toEqual([["2"]]);
    const nophone = await world.connect(mode, named("nophone"));
    expectRefusal(await nophone.ask(run("SELECT id FROM customers WHERE phone = $1", "x"), SYNC), "never-phones");
    expect(rows(await nophone.ask(run("SELECT phone FROM customers WHERE id = 1"), SYNC))).toEqual([["***"]]);
    expect(rows(await nophone.ask(run(LOOKUP, KNOWN), SYNC))).toEqual(FOUND);
    for (const client of [twice, nophone]) await client.terminate();
  });

  test("the log says which column was compared, and the transcript keeps the value out", async () => {
    const subject = named("rec");
    const client = await world.connect(mode, subject);
    const sql = "SELECT id, city FROM customers WHERE email = $2 AND city = $1";
    expect(rows(await client.ask(run(sql, "Ulm", KNOWN), SYNC))).toEqual([["2", "Ulm"]]);
    // Bound and not run; and too long to be collected.
    await client.ask(encodeParse("", LOOKUP), bind("", "", [KNOWN]), SYNC);
    await client.ask(run(LOOKUP, `${KNOWN}${"x".repeat(100_000)}`), SYNC);
    await client.terminate();
    const lines = await keptLines(world.gateway, subject);
    const inputs = lines.flatMap((line) => (line.kind === "input" ? [line.parameters ?? []] : []));
    expect(inputs.slice(0, 2)).toEqual([
      ["Ulm", "(compared with a masked column)"],
      ["(compared with a masked column)"],
    ]);
    expect(JSON.stringify(lines)).not.toContain(KNOWN);
    // What was run is durable a moment later in this mode, and in the index one more.
    const searched = async (...args: readonly string[]): Promise<string> =>
      (await world.gateway.weir("audit", "search", ...args, "--subject", subject, "--json", "--limit", "100")).stdout;
    const executions = (found: string): string[] => found.split("\n").filter((line) => line.includes('"execute"'));
    let found = await searched();
    while (executions(found).length < 2) found = await searched();
    expect(executions(found).some((line) => line.includes('"compared":["app.customers.email"]'))).toBe(true);
    expect(found).not.toContain(KNOWN);
    expect(await searched("compared")).toContain('"compared":["app.customers.email"]');
  });

  test("raw evidence of it is refused with its reason", async () => {
    const client = await world.connect(mode, named("raw"));
    const error = errorIn(await client.ask(run(LOOKUP, KNOWN), SYNC));
    expect(error?.get("M")).toContain("rows that a comparison with a masked value finds are not read a second time");
    await client.terminate();
  });

  test("the server finds the row by its index", async () => {
    const subject = named("index");
    world.server.psql(
      `INSERT INTO app.customers (id, email) SELECT n, 'many-' || n || '@example.com' FROM generate_series(1000, 21000) n;
       ANALYZE app.customers`,
      "original",
    );
    const scans = (): number =>
      Number(
        world.server.psql(
          "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'customers_email_key'",
          "original",
        ),
      );
    const before = scans();
    const client = await world.connect(mode, subject);
    expect(rows(await client.ask(run(LOOKUP, "many-5000@example.com"), SYNC))).toEqual([["5000", "***", null]]);
    await client.terminate();
    while (scans() === before) await Bun.sleep(50);
    world.server.psql("DELETE FROM app.customers WHERE id >= 1000", "original");
  });
});

test("the count outlives the gateway, however it ends", async () => {
  const before = await world.connect("guarded", "restart");
  await spend(before, RATE);
  await before.terminate();
  await world.restart("SIGKILL");
  const after = await world.connect("guarded", "restart");
  expectUsedUp(await after.ask(run(LOOKUP, KNOWN), SYNC));
  await after.terminate();
});

describe("when policy takes it back", () => {
  test.each(["deny", "masked"])(
    "%s: what was prepared runs no more, and new sessions are refused or see the mask",
    async (predicates) => {
      const held = await Promise.all(MODES.map((mode) => world.connect(mode, `held-${predicates}`)));
      for (const client of held) {
        await client.ask(encodeQuery("BEGIN"));
        await client.ask(encodeParse("s", LOOKUP), bind("p", "s", [KNOWN]), encodeFlush(), SYNC);
      }
      for (const [path, text] of Object.entries(comparingPolicy(predicates, INPUT_RECORDED)))
        world.gateway.writePolicy(path, text);
      await world.gateway.policyTaken();
      for (const client of held) {
        if (!client.isEnded) client.send(encodeExecute("p"), runNamed("s", KNOWN), SYNC);
        const last = await client.end();
        expect(rows(last)).toEqual([]);
        expect(errorIn(last.slice(-1))?.get("M")).toContain("what is masked for this session has changed");
      }
      for (const mode of MODES) {
        const client = await world.connect(mode, `after-${predicates}`);
        const answer = await client.ask(run(LOOKUP, KNOWN), SYNC);
        if (predicates === "masked") expect(types(answer)).toBe("12CZ");
        else expect(errorIn(answer)?.get("M")).toContain("policy keeps it out of conditions");
        await client.terminate();
      }
      for (const [path, text] of Object.entries(comparingPolicy("equality", INPUT_RECORDED)))
        world.gateway.writePolicy(path, text);
      await world.gateway.policyTaken();
      const again = await world.connect("guarded", `again-${predicates}`);
      expect(rows(await again.ask(run(LOOKUP, KNOWN), SYNC))).toEqual(FOUND);
      await again.terminate();
    },
  );
});
