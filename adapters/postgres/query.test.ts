/** Tests of the gateway's own questions: answers, errors, bounds, and connections that end. */
import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { ANY_PERMIT, dialUpstream } from "../../test/servers/upstream.ts";
import { HOUSE_LIMITS, HouseConnection, HouseConnectionLost, type HouseLimits, HouseQueryError } from "./query.ts";
import { logIn } from "./upstream.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

async function open(limits: Partial<HouseLimits> = {}): Promise<HouseConnection> {
  const upstream = await dialUpstream({ host: "127.0.0.1", port: server.port });
  const settings = {
    host: "",
    database: "postgres",
    user: "postgres",
    password: null,
    ca: null,
    cert: null,
    key: null,
  };
  const parameters = [["client_encoding", "UTF8"]] as const;
  const login = await logIn(upstream, ANY_PERMIT, { ...settings, tls: "disable", loginTimeMs: 200_000 }, parameters, 0);
  if (login.kind === "loginFailure") throw new Error(login.detail);
  return new HouseConnection(upstream, login, { ...HOUSE_LIMITS, ...limits });
}

const problem = async (house: HouseConnection, sql: string): Promise<unknown> =>
  house.query(ANY_PERMIT, sql).then(
    () => "answered",
    (error: unknown) => error,
  );

describe("an answer", () => {
  test("is text, or null", async () => {
    const house = await open();
    expect(await house.query(ANY_PERMIT, "select 1, null, '', 'ä🔑', true, '{a,b}'::text[]")).toEqual([
      ["1", null, "", "ä🔑", "t", "{a,b}"],
    ]);
    house.close(ANY_PERMIT);
  });

  test("may be long, empty, none, or of several statements", async () => {
    const house = await open();
    const rows = await house.query(ANY_PERMIT, "select n, repeat('x', 100) from generate_series(1, 20000) n");
    expect(rows.length).toBe(20_000);
    expect(rows.at(-1)).toEqual(["20000", "x".repeat(100)]);
    for (const sql of ["", "select 1 where false", "begin", "set work_mem = '5MB'", "commit", "select"]) {
      expect(await house.query(ANY_PERMIT, sql)).toEqual(sql === "select" ? [[]] : []);
    }
    expect(await house.query(ANY_PERMIT, "select 1; select 2")).toEqual([["1"], ["2"]]);
    expect(await house.query(ANY_PERMIT, "show work_mem")).toEqual([["5MB"]]);
    house.close(ANY_PERMIT);
  });

  test("may come with notices, settings and notifications in between", async () => {
    const house = await open();
    const sql = "listen x; notify x, 'y'; do $$begin raise notice 'hello'; end$$; set datestyle to sql; select 1";
    expect(await house.query(ANY_PERMIT, sql)).toEqual([["1"]]);
    expect(await house.query(ANY_PERMIT, "select 2")).toEqual([["2"]]);
    house.close(ANY_PERMIT);
  });
});

describe("an error", () => {
  test("is the server's, and the next question is answered", async () => {
    const house = await open();
    const error = await problem(house, "select 1; select nonsense");
    expect(error).toBeInstanceOf(HouseQueryError);
    expect(error).toMatchObject({ sqlState: "42703", message: 'column "nonsense" does not exist' });
    expect(await house.query(ANY_PERMIT, "select 1")).toEqual([["1"]]);
    house.close(ANY_PERMIT);
  });

  test("ends with the session that it ends", async () => {
    const house = await open();
    const error = await problem(house, "select pg_terminate_backend(pg_backend_pid())");
    expect(error).toMatchObject({ sqlState: "57P01" });
    expect(await problem(house, "select 1")).toBeInstanceOf(HouseConnectionLost);
    expect(house.isUsable).toBe(false);
  });
});

describe("the connection is given up", () => {
  test.each([
    ["a row longer than an answer may be", "select repeat('x', 2000000)"],
    ["rows that are longer together", "select repeat('x', 1000) from generate_series(1, 2000)"],
    ["a COPY to us", "copy (select 1) to stdout"],
    ["a COPY from us", "create temp table t (a int); copy t from stdin"],
    ["text that is not UTF-8", "set client_encoding to latin1; select 'ä'"],
  ])("for %s", async (_what, sql) => {
    const house = await open({ answerBytesMax: 1_000_000 });
    expect(await problem(house, sql)).toBeInstanceOf(HouseConnectionLost);
    expect(house.isUsable).toBe(false);
    expect(await problem(house, "select 1")).toBeInstanceOf(HouseConnectionLost);
  });

  test("after the time for an answer", async () => {
    const house = await open({ queryTimeMs: 50 });
    expect(await problem(house, "select pg_sleep(60)")).toMatchObject({ message: "no answer within 50 ms" });
    expect(house.isUsable).toBe(false);
  });

  test("when it is closed, with the question that waits", async () => {
    const house = await open();
    const waiting = problem(house, "select pg_sleep(60)");
    house.close(ANY_PERMIT);
    house.close(ANY_PERMIT);
    expect(await waiting).toBeInstanceOf(HouseConnectionLost);
  });
});

test("one question at a time", async () => {
  const house = await open();
  const first = house.query(ANY_PERMIT, "select 1");
  await expect(house.query(ANY_PERMIT, "select 2")).rejects.toThrow("before the last was answered");
  expect(await first).toEqual([["1"]]);
  house.close(ANY_PERMIT);
});
